import { openStore } from '../../../src/index.js';
import { heldBytes } from './held-bytes.js';
import { loadLibrary } from './load-library.js';

/*
 * Opens the store in the directory it is given and prints the bytes of memory that the open store holds: objects, and the arrays of numbers beside them.
 * Then again, when every id was asked for once: each is a string from then on. The code is loaded before. Runs with --expose-gc.
 */

await loadLibrary();
const before = heldBytes();
const store = await openStore(process.argv[2] as string, { layers: 'none' });
const images = store.len();
const heapBytes = heldBytes() - before;
let asked = 0;
for (const id of store.map().keys()) if (id.length > 0) asked++;
if (asked !== images) throw new RangeError(`the store gave ${asked} ids, expected ${images}`);
console.log(JSON.stringify({ heapBytes, askedBytes: heldBytes() - before, images }));
await store.close();
