import { sha256 } from '#sha256';
import { HASH_BYTES } from '../model/digest.js';
import { StoreError } from '../errors.js';

/** What RFC 6962, section 2.1 puts before the bytes of a leaf, so that no leaf can pass for a node. */
export const LEAF_PREFIX = 0x00;

/** Returns `record` as the input of its leaf hash: the leaf prefix, then the bytes. */
export function leafInput(record: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + record.length);
  input[0] = LEAF_PREFIX;
  input.set(record, 1);
  return input;
}

/** Returns the RFC 6962 leaf hash of `record`, 32 bytes. */
export function leafHash(record: Uint8Array): Uint8Array {
  return sha256(leafInput(record));
}

/** What RFC 6962, section 2.1 puts before the two hashes of a node, so that no node can pass for a leaf. */
const NODE_PREFIX = 0x01;

/** Used for every node, one after another: a new one for each costs half as much as its hash. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

/** Returns the RFC 6962 hash of the node over `left` and `right`, 32 bytes each. */
function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Returns the root of the tree without leaves: the hash of nothing. */
export function emptyRoot(): Uint8Array {
  return sha256(new Uint8Array(0));
}

/** Whether two hashes are the same. */
export function equalHashes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/*
 * Tiles of the Merkle tree as C2SP tlog-tiles names them: tile n of level l holds the hashes of up to 256 perfect
 * subtrees of 256^l leaves each, those from 256n on. Level 0 holds leaf hashes.
 */

/** Levels of the binary tree that one level of tiles stands for. */
const TILE_HEIGHT = 8;
/** Hashes of a full tile. */
export const TILE_WIDTH = 2 ** TILE_HEIGHT;
/** Levels of tiles that a tree of 2^53 leaves has. */
export const MAX_TILE_LEVEL = 6;

/** Names a tile: which one, and how many of its hashes. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  /** Hashes in it: 256, or fewer at the right edge of the tree. */
  readonly width: number;
}

/** Gives the tiles of one tree: from rows, from files, from a server. */
export interface TileReader {
  /**
   * Resolves with the hashes of the tile, one after another: `width` times 32 bytes. Asked only for tiles of the tree.
   * Implementers: the hashes need not be checked; what is made of them is.
   */
  readTile(tile: Tile): Promise<Uint8Array>;
}

/** Returns how many hashes the tiles of a level have in a tree of `size` leaves. */
export function hashesOnLevel(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Returns the tile `index` of a level as it is in a tree of `size` leaves; its width is 0 when the tree lacks it. */
export function tileOfTree(level: number, index: number, size: number): Tile {
  const width = Math.min(TILE_WIDTH, Math.max(0, hashesOnLevel(level, size) - index * TILE_WIDTH));
  return { level, index, width };
}

/** Gives every tile of a tree of `size` leaves, level by level, those that are full and the last one that is not. */
export function* tilesOfTree(size: number): Generator<Tile> {
  for (let level = 0; hashesOnLevel(level, size) > 0; level++) {
    const tiles = Math.ceil(hashesOnLevel(level, size) / TILE_WIDTH);
    for (let index = 0; index < tiles; index++) yield tileOfTree(level, index, size);
  }
}

/** Returns the hash `at` of a tile's bytes. */
export function hashInTile(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
}

/** Returns the path of a tile below the root of a log: `tile/0/x001/067`, `tile/1/000.p/16` (tlog-tiles, Merkle Tree). */
export function tilePath({ level, index, width }: Tile): string {
  return `tile/${level}/${numberedPath(index, width)}`;
}

/** Returns the path of the bundle of entries of the leaves 256 × `index` on (tlog-tiles, Log Entries). */
export function entriesPath(index: number, width: number): string {
  return `tile/entries/${numberedPath(index, width)}`;
}

/**
 * Returns what a path below the root of a log names: a tile, or a bundle of entries as one of level `'entries'`.
 * Undefined for every path that `tilePath` and `entriesPath` do not give.
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

/** Returns the bytes of a bundle: each record behind its length (2 bytes, big-endian). */
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
 * Returns the records of a bundle, as parts of `bytes`.
 * @throws {StoreError} BACKUP_INVALID when it is cut short, or has more than a bundle can have
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

/** Bytes of the length before each record of a bundle. */
export const LENGTH_BYTES = 2;

/** The number in groups of three digits, all but the last with an x before it; `.p/W` for a tile that is not full. */
function numberedPath(index: number, width: number): string {
  const digits = `${index}`;
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  const path = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/** The hash of a perfect subtree: 2^height leaves. */
interface Peak {
  readonly height: number;
  readonly hash: Uint8Array;
}

/** A hash of level 1 or above that a tree has from now on, for its tile. */
export interface CompletedHash {
  readonly level: number;
  /** Among all hashes of its level, from 0. */
  readonly index: number;
  readonly hash: Uint8Array;
}

/**
 * The right edge of a Merkle tree: the perfect subtrees that make it up, at most one of each height. All that is needed
 * to append a leaf, at one node hash on average, and to give the root, at one for each of at most 53 subtrees.
 */
export class Frontier {
  readonly #peaks: Peak[] = [];
  #size = 0;

  /** Resolves with the frontier of the first `size` leaves of a tree, from at most 255 hashes of each level of tiles. */
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

  /** Leaves of the tree. */
  get size(): number {
    return this.#size;
  }

  /** Appends a leaf hash. Returns the hashes of the tiles above that it completes, the lowest level first. */
  append(leaf: Uint8Array): CompletedHash[] {
    const completed: CompletedHash[] = [];
    this.#push(leaf, 0, completed);
    return completed;
  }

  /**
   * Appends a whole tile of leaves by the hash over it, without the leaves. Returns the hashes of the tiles above that it completes.
   * @throws {RangeError} when the last tile is not full
   */
  appendTile(hash: Uint8Array): CompletedHash[] {
    if (this.#size % TILE_WIDTH !== 0) throw new RangeError(`a tile of ${this.#size % TILE_WIDTH} leaves is not full`);
    const completed: CompletedHash[] = [];
    this.#push(hash, TILE_HEIGHT, completed);
    return completed;
  }

  /** Returns the RFC 6962 root of the tree. */
  root(): Uint8Array {
    const last = this.#peaks.at(-1);
    if (last === undefined) return emptyRoot();
    let root = last.hash;
    for (let at = this.#peaks.length - 2; at >= 0; at--) root = nodeHash((this.#peaks[at] as Peak).hash, root);
    return root;
  }

  /** Returns a frontier of the same tree that goes its own way. */
  copy(): Frontier {
    const copy = new Frontier();
    for (const peak of this.#peaks) copy.#peaks.push(peak);
    copy.#size = this.#size;
    return copy;
  }

  // Two subtrees of one height make one of the next, as a carry goes through a binary number.
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
export async function treeRoot(reader: TileReader, size: number): Promise<Uint8Array> {
  if (size === 0) return emptyRoot();
  return new SubtreeHashes(reader, size).of({ start: 0, end: size });
}

/**
 * Resolves with the audit path of leaf `index` in the tree of `size` leaves, the hash next to the leaf first; at most 53
 * hashes (RFC 6962, section 2.1.1).
 * @throws {RangeError} when the tree has no such leaf
 */
export async function proveInclusion(reader: TileReader, index: number, size: number): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  const subtrees = new SubtreeHashes(reader, size);
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
export async function proveConsistency(reader: TileReader, from: number, size: number): Promise<Uint8Array[]> {
  if (!(from >= 0 && from <= size)) throw new RangeError(`a tree of ${size} leaves does not begin with one of ${from}`);
  if (from === 0 || from === size) return [];
  const subtrees = new SubtreeHashes(reader, size);
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

/** A tree, as a checkpoint commits to it. */
export interface TreeHead {
  /** Leaves of the tree. */
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Returns when `proof` shows that leaf `index` of the tree has this hash (RFC 9162, section 2.1.3.2).
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
    if (last === 0) throw rejected(`it has ${proof.length} hashes, more than the way to the root`);
    const isRight = node % 2 === 1 || node === last;
    found = isRight ? nodeHash(sibling, found) : nodeHash(found, sibling);
    // The last node of a level may have no sibling there: it stands for itself further up.
    if (isRight) while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected(`it has ${proof.length} hashes, fewer than the way to the root`);
  if (!equalHashes(found, root)) throw rejected('it leads to another root');
}

/**
 * Returns when `proof` shows that the tree `to` begins with the tree `from` (RFC 9162, section 2.1.4.2). The empty
 * tree is the beginning of every tree and needs no proof: one from it is refused, as transparency-dev/merkle does.
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
    if (!equalHashes(from.root, to.root)) throw rejected('the roots of one size differ');
    return;
  }
  needHashes([from.root, to.root]);
  const isPerfect = 2 ** Math.round(Math.log2(from.size)) === from.size;
  const [first, ...path] = isPerfect ? [from.root, ...proof] : proof;
  if (first === undefined || proof.length === 0) throw rejected('it has no hashes');
  const { oldRoot, newRoot } = foldConsistency({ from: from.size, to: to.size }, first, path);
  if (!equalHashes(oldRoot, from.root)) throw rejected('it leads to another root of the smaller tree');
  if (!equalHashes(newRoot, to.root)) throw rejected('it leads to another root of the larger tree');
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
    if (last === 0) throw rejected('it has more hashes than the way to the root');
    if (node % 2 === 1 || node === last) {
      oldRoot = nodeHash(sibling, oldRoot);
      newRoot = nodeHash(sibling, newRoot);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      newRoot = nodeHash(newRoot, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected('it has fewer hashes than the way to the root');
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

function rejected(why: string): StoreError {
  return new StoreError('PROOF_REJECTED', `the proof does not hold: ${why}`, { data: { why } });
}
