import { openStore } from '../../../src/index.js';
import { peakMemory } from '../peak-memory.js';

/* Loads an archive into a new store: takes the directory and the archive's path, prints the peak of its memory. */

const [directory, archive] = process.argv.slice(2) as [string, string];
const store = await openStore(directory);
const { layersAdded } = await store.load(archive);
await store.close();
console.log(JSON.stringify({ peakBytes: peakMemory(), layersAdded }));
