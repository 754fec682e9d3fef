import { openStore } from '../../../src/store/open/open-store.js';
import { tellParent } from '../child.js';
import { peakMemory } from './peak-memory.js';

/* Saves every name of a store, counts the bytes and tells the peak of its memory. */

const [directory, format] = process.argv.slice(2) as [string, 'docker' | 'oci'];
const store = await openStore(directory, { create: false });
const names = store.referenceEntries().map(({ reference }) => reference);
let savedBytes = 0;
for await (const chunk of store.save(names, { format })) savedBytes += (chunk as Uint8Array).length;
await store.close();
await tellParent({ peakBytes: peakMemory(), savedBytes });
process.disconnect();
