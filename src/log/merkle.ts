import { sha256 } from '#sha256';
import { equalBytes } from '../model/bytes.js';
import { HASH_BYTES } from '../model/digest.js';
import { StoreError } from '../errors.js';
import { MAX_RECORD_BYTES } from '../limits.js';

/** Leaf prefix (RFC 6962, section 2.1): no leaf hash can pass for a node hash. */
const LEAF_PREFIX = 0x00;

/** Returns the input of the leaf hash of `record`: prefix and bytes. */
export function leafInput(record: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + record.length);
  input[0] = LEAF_PREFIX;
  input.set(record, 1);
  return input;
}

/** Reused for every leaf, as for every node below. */
const leafScratch = new Uint8Array(1 + MAX_RECORD_BYTES);
leafScratch[0] = LEAF_PREFIX;

/** Returns the RFC 6962 leaf hash of `record`, 32 bytes. */
export function leafHash(record: Uint8Array): Uint8Array {
  if (record.length > MAX_RECORD_BYTES) return sha256(leafInput(record));
  leafScratch.set(record, 1);
  return sha256(leafScratch.subarray(0, 1 + record.length));
}

/** Node prefix (RFC 6962, section 2.1): no node hash can pass for a leaf hash. */
const NODE_PREFIX = 0x01;

/** Reused for every node: allocating one costs half as much as the hash. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Returns the hash of a full tile of level 0: the root of its leaves. */
export function tileHash(leaves: readonly Uint8Array[]): Uint8Array {
  const hashes = leaves.slice();
  for (let count = hashes.length / 2; count >= 1; count /= 2) {
    for (let at = 0; at < count; at++) {
      hashes[at] = nodeHash(hashes[2 * at] as Uint8Array, hashes[2 * at + 1] as Uint8Array);
    }
  }
  return hashes[0] as Uint8Array;
}

/** Returns the root of the empty tree: SHA-256 of no bytes. */
export function emptyRoot(): Uint8Array {
  return sha256(new Uint8Array(0));
}

/*
 * Tiles (C2SP tlog-tiles): tile n of level l holds the hashes of up to 256 perfect subtrees of
 * 256^l leaves each, from subtree 256n on. Level 0 holds leaf hashes.
 */

/** Binary tree levels per tile level. */
const TILE_HEIGHT = 8;
/** Hashes in a full tile. */
export const TILE_WIDTH = 2 ** TILE_HEIGHT;
/** Highest tile level of a tree of 2^53 leaves. */
export const MAX_TILE_LEVEL = 6;

/** Identifies a tile and its width. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  /** Number of hashes: 256, or fewer at the right edge of the tree. */
  readonly width: number;
}

/** Source of the tiles of one tree: rows, files or a server. */
export interface TileReader {
  /**
   * Resolves with the hashes of the tile, concatenated: `width` times 32 bytes. Called only for
   * tiles of the tree. Implementers need not verify the hashes; callers verify the result.
   */
  readTile(tile: Tile): Promise<Uint8Array>;
}

/** Returns the number of hashes on a tile level of a tree of `size` leaves. */
export function hashesOnLevel(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Returns a tile of a tree of `size` leaves; its width is 0 when the tree lacks it. */
export function tileOfTree(level: number, index: number, size: number): Tile {
  const width = Math.min(TILE_WIDTH, Math.max(0, hashesOnLevel(level, size) - index * TILE_WIDTH));
  return { level, index, width };
}

/** Yields every tile of a tree of `size` leaves, level by level, full or partial. */
export function* tilesOfTree(size: number): Generator<Tile> {
  for (let level = 0; hashesOnLevel(level, size) > 0; level++) {
    const tiles = Math.ceil(hashesOnLevel(level, size) / TILE_WIDTH);
    for (let index = 0; index < tiles; index++) yield tileOfTree(level, index, size);
  }
}

/** Returns hashes as the bytes of a tile. */
export function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  for (const [at, hash] of hashes.entries()) bytes.set(hash, at * HASH_BYTES);
  return bytes;
}

/** Returns hash number `at` of a tile, as a view. */
export function hashInTile(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
}

/** Returns the path of a tile: `tile/0/x001/067`, `tile/1/000.p/16` (tlog-tiles, Merkle Tree). */
export function tilePath({ level, index, width }: Tile): string {
  return `tile/${level}/${numberedPath(index, width)}`;
}

/** Returns the path of the entry bundle from leaf 256 × `index` on (tlog-tiles, Log Entries). */
export function entriesPath(index: number, width: number): string {
  return `tile/entries/${numberedPath(index, width)}`;
}

/**
 * Parses a path from `tilePath` or `entriesPath`; a bundle has the level `'entries'`. Undefined for
 * any other path, however close.
 */
export function parseTilePath(
  path: string,
): (Omit<Tile, 'level'> & { readonly level: number | 'entries' }) | undefined {
  const match = /^tile\/(entries|\d)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  const [, kind, digits, partial] = match ?? [];
  if (kind === undefined || digits === undefined) return undefined;
  const index = Number(digits.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  const level = kind === 'entries' ? kind : Number(kind);
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= TILE_WIDTH)) return undefined;
  if (level !== 'entries' && level > MAX_TILE_LEVEL) return undefined;
  const again = level === 'entries' ? entriesPath(index, width) : tilePath({ level, index, width });
  return again === path ? { level, index, width } : undefined;
}

/** Encodes a bundle: each record after its length (2 bytes, big-endian). */
export function formatEntries(records: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + LENGTH_BYTES + record.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const record of records) {
    view.setUint16(at, record.length);
    bytes.set(record, at + LENGTH_BYTES);
    at += LENGTH_BYTES + record.length;
  }
  return bytes;
}

/**
 * Returns the records of a bundle as views of `bytes`.
 * @throws {StoreError} BACKUP_INVALID when it is truncated or has more than TILE_WIDTH entries
 */
export function parseEntries(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + LENGTH_BYTES;
    const end = start > bytes.length ? start : start + view.getUint16(at);
    if (end > bytes.length) {
      throw new StoreError('BACKUP_INVALID', `a bundle of entries is cut short inside entry ${records.length}`);
    }
    if (records.length === TILE_WIDTH) {
      throw new StoreError('BACKUP_INVALID', `a bundle of entries has more than ${TILE_WIDTH} entries`);
    }
    records.push(bytes.subarray(start, end));
    at = end;
  }
  return records;
}

/** Bytes of a record's length in a bundle. */
export const LENGTH_BYTES = 2;

/** Groups of three digits, all but the last prefixed with x; `.p/W` for a partial tile. */
function numberedPath(index: number, width: number): string {
  const digits = `${index}`;
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  const path = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/** Hash of a perfect subtree of 2^height leaves. */
interface Peak {
  readonly height: number;
  readonly hash: Uint8Array;
}

/** A hash of level 1 or above that an append added to its tile. */
export interface CompletedHash {
  readonly level: number;
  /** Position on its level, from 0. */
  readonly index: number;
  readonly hash: Uint8Array;
}

/**
 * The right edge of a Merkle tree: its perfect subtrees, at most one of each height. Enough to
 * append a leaf (one node hash on average) and to compute the root (at most 53).
 */
export class Frontier {
  readonly #peaks: Peak[] = [];
  #size = 0;

  /** Reads the frontier of the first `size` leaves from at most 255 hashes per tile level. */
  static async read(reader: TileReader, size: number): Promise<Frontier> {
    const frontier = new Frontier();
    let top = 0;
    while (hashesOnLevel(top + 1, size) > 0) top++;
    for (let level = top; level >= 0; level--) {
      const hashes = hashesOnLevel(level, size);
      const width = hashes % TILE_WIDTH;
      if (width === 0) continue;
      const bytes = await reader.readTile(tileOfTree(level, Math.floor(hashes / TILE_WIDTH), size));
      for (let at = 0; at < width; at++) frontier.#push(hashInTile(bytes, at).slice(), level * TILE_HEIGHT);
    }
    return frontier;
  }

  get size(): number {
    return this.#size;
  }

  /** Appends a leaf hash. Returns the hashes it completes on higher tile levels, lowest first. */
  append(leaf: Uint8Array): CompletedHash[] {
    const completed: CompletedHash[] = [];
    this.#push(leaf, 0, completed);
    return completed;
  }

  /**
   * Appends a full tile of leaves by its hash. Returns the hashes it completes on higher levels.
   * @throws {RangeError} when the last tile is partial
   */
  appendTile(hash: Uint8Array): CompletedHash[] {
    if (this.#size % TILE_WIDTH !== 0) throw new RangeError(`a tile of ${this.#size % TILE_WIDTH} leaves is not full`);
    const completed: CompletedHash[] = [];
    this.#push(hash, TILE_HEIGHT, completed);
    return completed;
  }

  /** Returns the RFC 6962 root. */
  root(): Uint8Array {
    const last = this.#peaks.at(-1);
    if (last === undefined) return emptyRoot();
    let root = last.hash;
    for (let at = this.#peaks.length - 2; at >= 0; at--) root = nodeHash((this.#peaks[at] as Peak).hash, root);
    return root;
  }

  /** Returns an independent copy. */
  copy(): Frontier {
    const copy = new Frontier();
    for (const peak of this.#peaks) copy.#peaks.push(peak);
    copy.#size = this.#size;
    return copy;
  }

  // Merges subtrees of equal height, like carries in binary addition.
  #push(subtree: Uint8Array, base: number, completed?: CompletedHash[]): void {
    this.#size += 2 ** base;
    let hash = subtree;
    let height = base;
    for (let left = this.#peaks.at(-1); left?.height === height; left = this.#peaks.at(-1)) {
      this.#peaks.pop();
      hash = nodeHash(left.hash, hash);
      height++;
      if (height % TILE_HEIGHT === 0) {
        completed?.push({ level: height / TILE_HEIGHT, index: this.#size / 2 ** height - 1, hash });
      }
    }
    this.#peaks.push({ height, hash });
  }
}

/*
 * Proofs (RFC 6962, section 2.1) computed from tiles.
 */

/** Leaves [start, end), numbered from 0. */
interface Leaves {
  readonly start: number;
  readonly end: number;
}

/** Root of the first `size` leaves. @throws any error of `reader`; so do the next two */
export async function treeRoot(reader: TileReader, size: number): Promise<Uint8Array> {
  if (size === 0) return emptyRoot();
  return new SubtreeHashes(reader, size).of({ start: 0, end: size });
}

/**
 * Resolves with the audit path of leaf `index` in a tree of `size` leaves, lowest sibling first; at
 * most 53 hashes (RFC 6962, section 2.1.1).
 * @throws {RangeError} when the tree has no such leaf
 */
export async function proveInclusion(reader: TileReader, index: number, size: number): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  const { path } = await descend(new SubtreeHashes(reader, size), index, { start: 0, end: size });
  return path.reverse();
}

/**
 * Resolves with the proof that a tree of `size` leaves extends one of `from` leaves (RFC 6962,
 * section 2.1.2). Empty when `from` is 0 or `size`.
 * @throws {RangeError} when `from` is larger than `size`
 */
export async function proveConsistency(reader: TileReader, from: number, size: number): Promise<Uint8Array[]> {
  if (!(from >= 0 && from <= size)) throw new RangeError(`a tree of ${size} leaves does not begin with one of ${from}`);
  if (from === 0 || from === size) return [];
  const subtrees = new SubtreeHashes(reader, size);
  const { path, leaves } = await descend(subtrees, from - 1, { start: 0, end: size }, from);
  // Verifiers know the root of `from` leaves: omit it when it is a subtree on the path.
  if (leaves.start > 0) path.push(await subtrees.of(leaves));
  return path.reverse();
}

/**
 * Resolves with the subtrees beside the path to `leaf`, from the top down, and the leaves where the
 * path ends: `leaf` alone, or the first subtree that ends at `stop`.
 */
async function descend(
  subtrees: SubtreeHashes,
  leaf: number,
  { start, end }: Leaves,
  stop?: number,
): Promise<{ readonly path: Uint8Array[]; readonly leaves: Leaves }> {
  const path: Uint8Array[] = [];
  let leaves = { start, end };
  while (leaves.end - leaves.start > 1 && leaves.end !== stop) {
    const middle = leaves.start + splitOf(leaves.end - leaves.start);
    const [left, right] = [
      { start: leaves.start, end: middle },
      { start: middle, end: leaves.end },
    ];
    path.push(await subtrees.of(leaf < middle ? right : left));
    leaves = leaf < middle ? left : right;
  }
  return { path, leaves };
}

/** Returns the largest power of two below `count`, which is at least 2: RFC 6962's split point. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/** Subtree hashes of one tree. Reads each tile once. */
class SubtreeHashes {
  readonly #reader: TileReader;
  readonly #size: number;
  readonly #tiles = new Map<string, Promise<Uint8Array>>();

  constructor(reader: TileReader, size: number) {
    this.#reader = reader;
    this.#size = size;
  }

  async of({ start, end }: Leaves): Promise<Uint8Array> {
    const count = end - start;
    const height = Math.round(Math.log2(count));
    if (2 ** height === count) return this.#perfect(height, start / count);
    const middle = start + splitOf(count);
    const [left, right] = [await this.of({ start, end: middle }), await this.of({ start: middle, end })];
    return nodeHash(left, right);
  }

  /** Hash of perfect subtree `index` of 2^height leaves: read or folded from one tile. */
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
      nodeHash(hashes[2 * at] as Uint8Array, hashes[2 * at + 1] as Uint8Array),
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

/** Size and root that a checkpoint commits to. */
export interface TreeHead {
  /** Number of leaves. */
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Verifies that leaf `index` of the tree has this hash (RFC 9162, section 2.1.3.2).
 * @throws {StoreError} PROOF_REJECTED, with the reason
 */
export function checkInclusion(
  { index, leafHash, tree }: { readonly index: number; readonly leafHash: Uint8Array; readonly tree: TreeHead },
  proof: readonly Uint8Array[],
): void {
  const { size, root } = tree;
  if (!isCount(index) || !isCount(size) || index >= size)
    throw rejected(`a tree of ${size} leaves has no leaf ${index}`);
  needHashes([leafHash, root, ...proof]);
  let node = index;
  let last = size - 1;
  let found = leafHash;
  for (const sibling of proof) {
    if (last === 0) throw rejected(`it has ${proof.length} hashes, more than the path to the root`);
    const isRight = node % 2 === 1 || node === last;
    found = isRight ? nodeHash(sibling, found) : nodeHash(found, sibling);
    // The last node of a level may lack a sibling: it moves up unchanged.
    if (isRight) while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected(`it has ${proof.length} hashes, fewer than the path to the root`);
  if (!equalBytes(found, root)) throw rejected('it leads to another root');
}

/**
 * Verifies that the tree `to` extends the tree `from` (RFC 9162, section 2.1.4.2). A proof from the
 * empty tree, which every tree extends, is refused, as transparency-dev/merkle does.
 * @throws {StoreError} PROOF_REJECTED, with the reason
 */
export function checkConsistency(
  { from, to }: { readonly from: TreeHead; readonly to: TreeHead },
  proof: readonly Uint8Array[],
): void {
  if (!isCount(from.size) || !isCount(to.size) || from.size > to.size) {
    throw rejected(`a tree of ${to.size} leaves does not begin with one of ${from.size}`);
  }
  if (from.size === 0) throw rejected('the empty tree is the beginning of every tree, and proves nothing');
  needHashes(proof);
  if (from.size === to.size) {
    if (proof.length > 0) throw rejected(`it has ${proof.length} hashes, expected none`);
    if (!equalBytes(from.root, to.root)) throw rejected('the roots of one size differ');
    return;
  }
  needHashes([from.root, to.root]);
  const isPerfect = 2 ** Math.round(Math.log2(from.size)) === from.size;
  const [first, ...path] = isPerfect ? [from.root, ...proof] : proof;
  if (first === undefined || proof.length === 0) throw rejected('it has no hashes');
  const { oldRoot, newRoot } = foldConsistency({ from: from.size, to: to.size }, first, path);
  if (!equalBytes(oldRoot, from.root)) throw rejected('it leads to another root of the smaller tree');
  if (!equalBytes(newRoot, to.root)) throw rejected('it leads to another root of the larger tree');
}

function foldConsistency(
  sizes: { readonly from: number; readonly to: number },
  first: Uint8Array,
  path: readonly Uint8Array[],
): { readonly oldRoot: Uint8Array; readonly newRoot: Uint8Array } {
  let node = sizes.from - 1;
  let last = sizes.to - 1;
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  let oldRoot = first;
  let newRoot = first;
  for (const sibling of path) {
    if (last === 0) throw rejected('it has more hashes than the path to the root');
    if (node % 2 === 1 || node === last) {
      oldRoot = nodeHash(sibling, oldRoot);
      newRoot = nodeHash(sibling, newRoot);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      newRoot = nodeHash(newRoot, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected('it has fewer hashes than the path to the root');
  return { oldRoot, newRoot };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function needHashes(hashes: readonly Uint8Array[]): void {
  for (const { length } of hashes) {
    if (length !== HASH_BYTES) throw rejected(`a hash of it has ${length} bytes, expected ${HASH_BYTES}`);
  }
}

/** Returns the error PROOF_REJECTED. */
export function rejected(why: string, cause?: unknown): StoreError {
  return new StoreError('PROOF_REJECTED', `the proof does not hold: ${why}`, { cause, data: { why } });
}
