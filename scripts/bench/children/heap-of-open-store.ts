import { openStore } from '../../../src/index.js';
import { heldBytes } from './held-bytes.js';
import { loadLibrary } from './load-library.js';

/*
 * Opens the store in the directory it is given and prints the bytes of memory that the open store holds: objects, and the arrays of numbers beside them.
 * The code is loaded before. Runs with --expose-gc.
 */

await loadLibrary();
const before = heldBytes();
const store = await openStore(process.argv[2] as string, { layers: 'none' });
console.log(JSON.stringify({ heapBytes: heldBytes() - before, images: store.len() }));
await store.close();
