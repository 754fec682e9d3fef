import { type Sha256, sha256 } from '../../model/digest.js';
import { emptyRoot, nodeHash } from './node-hash.js';
import { hashInTile, TILE_HEIGHT, TILE_WIDTH, type TileReader, tileOfTree } from './tile.js';

/*
 * Proofs of RFC 6962, section 2.1, made from tiles. A range of leaves is [start, end), numbered from 0.
 */

/** Leaves of a tree, from `start` up to and without `end`. */
interface Leaves {
  readonly start: number;
  readonly end: number;
}

/**
 * Resolves with the root of the first `size` leaves.
 * @throws whatever `reader` throws, as the next two
 */
export async function treeRoot(reader: TileReader, size: number, hash: Sha256 = sha256): Promise<Uint8Array> {
  if (size === 0) return emptyRoot(hash);
  return new SubtreeHashes(reader, size, hash).of({ start: 0, end: size });
}

/**
 * Resolves with the audit path of leaf `index` in the tree of `size` leaves, the hash next to the leaf first; at most 53
 * hashes (RFC 6962, section 2.1.1).
 * @throws {RangeError} when the tree has no such leaf
 */
export async function proveInclusion(
  reader: TileReader,
  index: number,
  size: number,
  hash: Sha256 = sha256,
): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  const subtrees = new SubtreeHashes(reader, size, hash);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    const isLeft = index < middle;
    path.push(await subtrees.of(isLeft ? { start: middle, end } : { start, end: middle }));
    if (isLeft) end = middle;
    else start = middle;
  }
  return path.reverse();
}

/**
 * Resolves with the proof that the tree of `size` leaves begins with that of `from` leaves (RFC 6962, section 2.1.2). Empty
 * when either is empty or both are the same.
 * @throws {RangeError} when `from` is larger than `size`
 */
export async function proveConsistency(
  reader: TileReader,
  from: number,
  size: number,
  hash: Sha256 = sha256,
): Promise<Uint8Array[]> {
  if (!(from >= 0 && from <= size)) throw new RangeError(`a tree of ${size} leaves does not begin with one of ${from}`);
  if (from === 0 || from === size) return [];
  const subtrees = new SubtreeHashes(reader, size, hash);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = size;
  // Whoever checks knows the root of the first `from` leaves: it is left out while it is itself a subtree on the way.
  while (end !== from) {
    const middle = start + splitOf(end - start);
    const isLeft = from <= middle;
    path.push(await subtrees.of(isLeft ? { start: middle, end } : { start, end: middle }));
    if (isLeft) end = middle;
    else start = middle;
  }
  if (start > 0) path.push(await subtrees.of({ start, end }));
  return path.reverse();
}

/** Returns the largest power of two below `count`, which is 2 or more: where RFC 6962 splits a tree. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/** Hashes of subtrees of one tree. Each tile is read once. */
class SubtreeHashes {
  readonly #reader: TileReader;
  readonly #size: number;
  readonly #hash: Sha256;
  readonly #tiles = new Map<string, Promise<Uint8Array>>();

  constructor(reader: TileReader, size: number, hash: Sha256) {
    this.#reader = reader;
    this.#size = size;
    this.#hash = hash;
  }

  async of({ start, end }: Leaves): Promise<Uint8Array> {
    const count = end - start;
    const height = Math.round(Math.log2(count));
    if (2 ** height === count) return this.#perfect(height, start / count);
    const middle = start + splitOf(count);
    const [left, right] = [await this.of({ start, end: middle }), await this.of({ start: middle, end })];
    return nodeHash(left, right, this.#hash);
  }

  /** The hash of perfect subtree `index` of 2^height leaves: one of a tile, or the fold of some in one tile. */
  async #perfect(height: number, index: number): Promise<Uint8Array> {
    const level = Math.floor(height / TILE_HEIGHT);
    const width = 2 ** (height % TILE_HEIGHT);
    const first = index * width;
    const tile = await this.#tile(level, Math.floor(first / TILE_WIDTH));
    let hashes = Array.from({ length: width }, (_, at) => hashInTile(tile, (first % TILE_WIDTH) + at));
    while (hashes.length > 1) hashes = this.#pairs(hashes);
    return (hashes[0] as Uint8Array).slice();
  }

  #pairs(hashes: readonly Uint8Array[]): Uint8Array[] {
    return Array.from({ length: hashes.length / 2 }, (_, at) =>
      nodeHash(hashes[2 * at] as Uint8Array, hashes[2 * at + 1] as Uint8Array, this.#hash),
    );
  }

  #tile(level: number, index: number): Promise<Uint8Array> {
    const key = `${level}/${index}`;
    const known = this.#tiles.get(key);
    if (known !== undefined) return known;
    const read = this.#reader.readTile(tileOfTree(level, index, this.#size));
    this.#tiles.set(key, read);
    return read;
  }
}
