/** Returns the bytes of memory that this process holds after a collection: objects, and the arrays of numbers beside them. Needs --expose-gc. */
export function heldBytes(): number {
  if (globalThis.gc === undefined) throw new Error('run this script with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
