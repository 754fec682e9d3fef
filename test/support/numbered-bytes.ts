/** Returns bytes of which every four, aligned, are another number: a chunk overwritten or misplaced shows. */
export function numberedBytes(size: number): Buffer {
  const numbers = Uint32Array.from({ length: Math.ceil(size / 4) }, (_, at) => Math.imul(at, 0x9e3779b1));
  return Buffer.from(numbers.buffer, 0, size);
}
