import { LevelDamage } from './damage.js';
import {
  blockContents,
  type BlockEntries,
  blockEntries,
  type BlockHandle,
  FOOTER_BYTES,
  handleAt,
  parseFooter,
  TRAILER_BYTES,
} from './table.js';

/** A file of a database, open. It stays readable when its name is removed. */
export interface DatabaseFile {
  /** For messages, and unique among the files of a database. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Returns `length` bytes from `offset` on, fewer where the file ends. The caller owns them. Throws what the system throws. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Entries in the order of their keys, in blocks: a table, or what stands in memory. */
export interface SortedTable {
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  readonly blockCount: number;
  /** The number of the first block that may hold `key` or a later one; `blockCount` when none may. */
  blockFrom(key: Uint8Array): number;
  /** Returns the entries of a block. Reads of single keys have it kept for the next one, scans do not. */
  block(number: number, isKept: boolean): BlockEntries;
  close(): void;
}

/** The blocks that were read last, of all tables of one database. */
export class BlockCache {
  readonly #maxBytes: number;
  readonly #blocks = new Map<string, BlockEntries>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(name: string): BlockEntries | undefined {
    const block = this.#blocks.get(name);
    if (block === undefined) return undefined;
    // A Map keeps the order in which names were set: the first is the one that was not used for longest.
    this.#blocks.delete(name);
    this.#blocks.set(name, block);
    return block;
  }

  set(name: string, block: BlockEntries): void {
    this.#blocks.set(name, block);
    this.#bytes += block.bytes.length;
    for (const [oldest, { bytes }] of this.#blocks) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#blocks.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}

/**
 * Reads a table block by block, each checked against its checksum, which LevelDB 1.20 as `level` builds it does not look at.
 * What is not as LevelDB wrote it is thrown as LevelDamage by the read that meets it.
 */
export class TableReader implements SortedTable {
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  readonly #file: DatabaseFile;
  readonly #cache: BlockCache;
  #index: BlockEntries | undefined;

  /** `range` has the first and the last key of the table. */
  constructor(
    file: DatabaseFile,
    range: { readonly smallest: Uint8Array; readonly largest: Uint8Array },
    cache: BlockCache,
  ) {
    this.#file = file;
    this.smallest = range.smallest;
    this.largest = range.largest;
    this.#cache = cache;
  }

  get blockCount(): number {
    return this.#loadIndex().keys.length;
  }

  blockFrom(key: Uint8Array): number {
    return lowerBound(this.#loadIndex().keys, key);
  }

  block(number: number, isKept: boolean): BlockEntries {
    const name = `${this.#file.name} ${number}`;
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const handle = handleAt(this.#loadIndex(), number);
    if (handle === undefined) throw this.#damage('has a damaged index');
    const block = this.#read(handle);
    if (isKept) this.#cache.set(name, block);
    return block;
  }

  close(): void {
    this.#file.close();
  }

  #loadIndex(): BlockEntries {
    if (this.#index !== undefined) return this.#index;
    const { sizeBytes } = this.#file;
    const handles = parseFooter(this.#file.read(Math.max(0, sizeBytes - FOOTER_BYTES), FOOTER_BYTES));
    if (handles === undefined) throw this.#damage('has a damaged end');
    this.#index = this.#read(handles[1]);
    return this.#index;
  }

  #read({ offset, size }: BlockHandle): BlockEntries {
    const end = offset + size + TRAILER_BYTES;
    // A size that damage made must not be asked of the memory.
    const stored = end <= this.#file.sizeBytes ? this.#file.read(offset, size + TRAILER_BYTES) : new Uint8Array();
    const block = blockContents(stored);
    const entries = block === undefined ? undefined : blockEntries(block);
    if (entries === undefined) throw this.#damage(`is damaged between byte ${offset} and ${end}`);
    return entries;
  }

  #damage(what: string): LevelDamage {
    return new LevelDamage(`the table ${this.#file.name} ${what}`);
  }
}

/** The place of the first of sorted `keys` that is not before `key`. */
export function lowerBound(keys: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle] as Uint8Array, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Compares as LevelDB does by default: byte by byte, a beginning before the whole. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
