import { openStore } from '../../../src/store/open/open-store.js';
import { tellParent } from '../child.js';
import { peakMemory } from './peak-memory.js';

/* Loads an archive, from a path or from standard input when that is `-`, and tells the peak of its memory. */

const [directory, archive] = process.argv.slice(2) as [string, string];
const store = await openStore(directory);
const { layersAdded } = await store.load(archive === '-' ? process.stdin : archive);
await store.close();
await tellParent({ peakBytes: peakMemory(), layersAdded });
process.disconnect();
