/** Bytes that are asked of the system at once. */
const SLAB_BYTES = 16 * 1024;

let slab = new ArrayBuffer(0);
let taken = 0;

/**
 * Returns `length` zero bytes for a key or a row on its way into the database: a part of a larger buffer that nobody else
 * has. The database needs bytes outside of the JavaScript heap, and to ask for those of each row by themselves costs ten
 * times as much. Whoever keeps some for long copies them: they hold the whole buffer.
 */
export function rowBytes(length: number): Uint8Array {
  if (length > SLAB_BYTES / 4) return new Uint8Array(length);
  if (length > slab.byteLength - taken) {
    slab = new ArrayBuffer(SLAB_BYTES);
    taken = 0;
  }
  const bytes = new Uint8Array(slab, taken, length);
  taken += length;
  return bytes;
}
