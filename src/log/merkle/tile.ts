import { StoreError } from '../../errors.js';
import { HASH_BYTES } from '../../model/digest.js';

/*
 * Tiles of the Merkle tree as C2SP tlog-tiles names them: tile n of level l holds the hashes of up to 256 perfect
 * subtrees of 256^l leaves each, those from 256n on. Level 0 holds leaf hashes.
 */

/** Levels of the binary tree that one level of tiles stands for. */
export const TILE_HEIGHT = 8;
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
