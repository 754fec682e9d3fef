import { openStore } from '../../../src/index.js';
import { heldBytes } from './held-bytes.js';
import { loadLibrary } from './load-library.js';

/*
 * Prints the memory (objects and numeric arrays) that the open store in the given directory holds,
 * then again after requesting every id once, which makes each a string. Needs --expose-gc.
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
