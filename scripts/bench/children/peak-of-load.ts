import { openStore } from '../../../src/index.js';
import { peakMemory } from '../peak-memory.js';

/* Loads an archive (second argument) into a new store (first) and prints its peak memory. */

const [directory, archive] = process.argv.slice(2) as [string, string];
const store = await openStore(directory);
const { layersAdded } = await store.load(archive);
await store.close();
console.log(JSON.stringify({ peakBytes: peakMemory(), layersAdded }));
