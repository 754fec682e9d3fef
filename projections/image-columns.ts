import { HASH_BYTES } from '../src/model/digest.js';
import { rowsInSlots } from './digest-index.js';

/** All of a view of images as it is in memory, with rows of deleted images. Nobody else changes it. */
export interface RawImages {
  readonly digests: RawDigests;
  /** The event that created each; 0 when it is deleted. */
  readonly seqs: Float64Array<ArrayBuffer>;
  /** 1 + the row of the chain of each, or 0. */
  readonly chainOf: Uint32Array<ArrayBuffer>;
  /** 1 + the row of the parent of each, or 0. */
  readonly parents: Uint32Array<ArrayBuffer>;
  readonly chains: RawDigests;
}

/** Digests, and the slots of an index of those that are there. */
export interface RawDigests {
  readonly hashes: Uint8Array;
  readonly slots: Uint32Array;
}

/** A view of images as it is in a snapshot: no row is of a deleted image, and nothing tells how it came to be. */
export interface ImageColumns {
  readonly digests: DigestColumns;
  readonly seqs: Float64Array<ArrayBuffer>;
  readonly chainOf: Uint32Array<ArrayBuffer>;
  readonly parents: Uint32Array<ArrayBuffer>;
  /** The chains, in the order in which the images first name them. */
  readonly chains: DigestColumns;
}

/** Digests, and their rows in the order of the digests. */
export interface DigestColumns {
  readonly hashes: Uint8Array<ArrayBuffer>;
  readonly order: Uint32Array<ArrayBuffer>;
}

/** Makes columns of a view, and yields after each, which takes some milliseconds for a million images. */
export function* packImages({ digests, seqs, chainOf, parents, chains }: RawImages): Generator<void, ImageColumns> {
  const numbers = numberRows(seqs);
  yield;
  const packedDigests = yield* packDigests(digests, numbers);
  const packedSeqs = packed(seqs, numbers, new Float64Array(numbers.count));
  yield;
  const packedParents = packed(parents, numbers, new Uint32Array(numbers.count));
  renumber(packedParents, numbers);
  yield;
  const packedChainOf = packed(chainOf, numbers, new Uint32Array(numbers.count));
  const chainNumbers = numberChains(packedChainOf, chains.hashes.length / HASH_BYTES);
  renumber(packedChainOf, chainNumbers);
  yield;
  return {
    digests: packedDigests,
    seqs: packedSeqs,
    chainOf: packedChainOf,
    parents: packedParents,
    chains: yield* packDigests(chains, chainNumbers),
  };
}

/** Returns what a generator returns, at once. */
export function finished<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** New numbers of rows, from 1 on; 0 for a row that goes. */
interface Numbers {
  readonly ofRow: Uint32Array;
  readonly count: number;
}

function numberRows(seqs: Float64Array): Numbers {
  const ofRow = new Uint32Array(seqs.length);
  let count = 0;
  for (let row = 0; row < seqs.length; row++) if (seqs[row] !== 0) ofRow[row] = ++count;
  return { ofRow, count };
}

function numberChains(chainOf: Uint32Array, rows: number): Numbers {
  const ofRow = new Uint32Array(rows);
  let count = 0;
  for (let at = 0; at < chainOf.length; at++) {
    const chain = chainOf[at] as number;
    if (chain > 0 && ofRow[chain - 1] === 0) ofRow[chain - 1] = ++count;
  }
  return { ofRow, count };
}

function* packDigests({ hashes, slots }: RawDigests, { ofRow, count }: Numbers): Generator<void, DigestColumns> {
  const packedHashes = new Uint8Array(count * HASH_BYTES);
  for (let row = 0; row < ofRow.length; row++) {
    const number = ofRow[row] as number;
    if (number === 0) continue;
    // By hand: `set` of a `subarray` makes an object for every row.
    const [from, to] = [row * HASH_BYTES, (number - 1) * HASH_BYTES];
    for (let at = 0; at < HASH_BYTES; at++) packedHashes[to + at] = hashes[from + at] as number;
  }
  yield;
  const rows = rowsInSlots(slots);
  const order = new Uint32Array(count);
  let next = 0;
  for (let at = 0; at < rows.length; at++) {
    const number = ofRow[rows[at] as number] as number;
    if (number > 0) order[next++] = number - 1;
  }
  yield;
  return { hashes: packedHashes, order };
}

/** Puts the values of the rows that stay into `into`, and returns it. */
function packed<Column extends Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(
  column: Column,
  { ofRow }: Numbers,
  into: Column,
): Column {
  for (let row = 0; row < column.length; row++) {
    const number = ofRow[row] as number;
    if (number > 0) into[number - 1] = column[row] as number;
  }
  return into;
}

/** Puts new numbers in place of 1 + row; 0 stays. */
function renumber(column: Uint32Array, { ofRow }: Numbers): void {
  for (let at = 0; at < column.length; at++) {
    const rowAndOne = column[at] as number;
    if (rowAndOne > 0) column[at] = ofRow[rowAndOne - 1] as number;
  }
}
