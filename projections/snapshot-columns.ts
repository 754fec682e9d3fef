import { HASH_BYTES } from '../src/model/digest.js';
import type { SnapshotReader } from './snapshot-reader.js';
import type { SnapshotWriter } from './snapshot-writer.js';

/*
 * Columns of numbers stand in a snapshot as they are in the memory of a machine that has the lowest byte first, as nearly all
 * have: so that they are read by one copy, and not by a step for each number.
 */

/** Bytes of a column that are written at once. */
const PIECE_BYTES = 64 * 1024;
const LOWEST_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Writes a column of numbers; yields when the writer is full. */
export function* writeColumn(out: SnapshotWriter, column: Uint8Array | Uint32Array | Float64Array): Generator<void> {
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT } = column;
  const bytes = lowestFirst(new Uint8Array(buffer, byteOffset, byteLength), BYTES_PER_ELEMENT);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    out.raw(bytes.subarray(at, at + PIECE_BYTES));
    if (out.isFull) yield;
  }
}

/** Reads the 32 bytes of each of `count` digests; they are the caller's own. @throws {SnapshotDamage} when there are not as many */
export function readHashes(input: SnapshotReader, count: number): Uint8Array<ArrayBuffer> {
  return input.rows(count, HASH_BYTES).slice() as Uint8Array<ArrayBuffer>;
}

/** Reads `count` numbers below 2^32, of 4 bytes each. @throws {SnapshotDamage} when there are not as many */
export function readNumbers(input: SnapshotReader, count: number): Uint32Array<ArrayBuffer> {
  const bytes = input.rows(count, Uint32Array.BYTES_PER_ELEMENT).slice();
  return new Uint32Array(lowestFirst(bytes, Uint32Array.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
}

/** Reads `count` numbers of 8 bytes each (IEEE 754). @throws {SnapshotDamage} when there are not as many */
export function readFloats(input: SnapshotReader, count: number): Float64Array<ArrayBuffer> {
  const bytes = input.rows(count, Float64Array.BYTES_PER_ELEMENT).slice();
  return new Float64Array(lowestFirst(bytes, Float64Array.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
}

/** Returns numbers of `width` bytes with the lowest byte of each first: the same bytes on nearly every machine. */
function lowestFirst(bytes: Uint8Array, width: number): Uint8Array {
  if (LOWEST_FIRST || width === 1) return bytes;
  const swapped = bytes.slice();
  for (let at = 0; at < swapped.length; at += width) swapped.subarray(at, at + width).reverse();
  return swapped;
}
