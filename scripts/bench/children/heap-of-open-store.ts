import { openStore } from '../../../src/index.js';

/*
 * Opens the store in the directory it is given and prints the bytes of memory that the open store holds: objects, and the arrays of numbers beside them.
 * Runs with --expose-gc.
 */

function bytesHeld(): number {
  if (globalThis.gc === undefined) throw new Error('run this script with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const before = bytesHeld();
const store = await openStore(process.argv[2] as string, { layers: 'none' });
console.log(JSON.stringify({ heapBytes: bytesHeld() - before, images: store.len() }));
await store.close();
