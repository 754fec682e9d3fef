import { type NextBuffer, twoBuffers } from '../store/files/write-durably.js';

/** Up to here bytes have buffers of their own size. */
const SMALL_BYTES = 64 * 1024;
/** Pairs of 2 MiB that wait for the next answer. */
const KEPT_PAIRS = 8;

/** Two buffers for one answer, in turn. */
export interface BufferPair {
  readonly next: NextBuffer;
  readonly isKept: boolean;
}

const kept: BufferPair[] = [];

/** Returns buffers for an answer of `size` bytes that nobody else uses. */
export function borrowBuffers(size: number): BufferPair {
  if (size <= SMALL_BYTES) return { next: () => new Uint8Array(size), isKept: false };
  return kept.pop() ?? { next: twoBuffers(), isKept: true };
}

/** Takes back buffers of which no chunk is still in use. */
export function giveBack(pair: BufferPair): void {
  if (pair.isKept && kept.length < KEPT_PAIRS) kept.push(pair);
}
