/** Returns the memory held after a collection: objects and numeric arrays. Needs --expose-gc. */
export function heldBytes(): number {
  if (globalThis.gc === undefined) throw new Error('run this script with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
