import { openStore } from '../../../src/index.js';

/*
 * Opens the store in the directory it is given and prints the bytes of heap that the open store holds.
 * Runs with --expose-gc.
 */

function heapUsed(): number {
  if (globalThis.gc === undefined) throw new Error('run this script with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

const before = heapUsed();
const store = await openStore(process.argv[2] as string, { layers: 'none' });
console.log(JSON.stringify({ heapBytes: heapUsed() - before, images: store.len() }));
await store.close();
