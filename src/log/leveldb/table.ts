import { MAX_TABLE_INDEX_BYTES } from '../../limits.js';
import { ByteReader, compareBytes, equalBytes } from '../../model/bytes.js';
import { countBefore } from '../../model/collections.js';
import { LevelDamage, maskedCrc32c, unsnappy } from './coding.js';
import { type EventRange, eventsBetween } from './log-files.js';

/*
 * LevelDB's tables (doc/table_format.md): blocks of entries, a filter of their keys, an index of
 * the blocks, and a footer that locates the index. A compression byte and a checksum follow each
 * block. LevelDB 1.20 as built here ignores the checksum: a flipped bit gives a wrong row, a
 * missing entry, or an assertion that ends the process.
 */

const FOOTER_BYTES = 48;
/** After each block: compression (1 byte) and checksum (4). */
const TRAILER_BYTES = 5;
const SNAPPY = 1;
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);
/** LevelDB's sequence number and kind, after each key (db/dbformat.h). */
const TAG_BYTES = 8;
const DELETION = 0;
const TWO_POW_32 = 2 ** 32;

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

/** Entries of a block in key order, newest first among equal keys. */
export interface BlockEntries {
  /** The decompressed block, which contains the values. */
  readonly bytes: Uint8Array;
  /** Without LevelDB's tags. */
  readonly keys: readonly Uint8Array[];
  /** LevelDB's entry numbers: among equal keys, the largest counts. */
  readonly sequences: readonly number[];
  /** Whether each entry is a deletion mark. */
  readonly areDeleted: readonly boolean[];
  /** Offsets of the values in `bytes`. */
  readonly valueStarts: readonly number[];
  readonly valueEnds: readonly number[];
}

/** Damage in a table. */
export interface TableFault {
  readonly message: string;
  /** Events possibly lost; undefined for all of the table's events. */
  readonly events: EventRange | undefined;
  readonly isWholeTable: boolean;
}

/** Finds the damage in a table, block by block. Never throws. */
export function tableFaults(table: Uint8Array): TableFault[] {
  const handles = parseFooter(table.subarray(Math.max(0, table.length - FOOTER_BYTES)));
  if (handles === undefined) return [wholeTable('has a damaged end')];
  const filters = handlesIn(blockIn(table, handles[0]), 0);
  const blocks = handlesIn(blockIn(table, handles[1]), TAG_BYTES);
  // Lookups depend on the filters: a key that they deny is never found.
  if (filters === undefined || blocks === undefined || !filters.every(({ handle }) => isWhole(table, handle))) {
    return [wholeTable('has a damaged index')];
  }
  const faults: TableFault[] = [];
  let before: Uint8Array = new Uint8Array();
  for (const { key, handle } of blocks) {
    if (!isWhole(table, handle)) {
      const message = `is damaged between byte ${handle.offset} and ${handle.offset + handle.size + TRAILER_BYTES}`;
      faults.push({ message, events: eventsBetween(before, key), isWholeTable: false });
    }
    before = key;
  }
  return faults;
}

function wholeTable(message: string): TableFault {
  return { message, events: undefined, isWholeTable: true };
}

/** Returns the locations of filters and index; undefined for a malformed footer. */
function parseFooter(footer: Uint8Array): readonly [BlockHandle, BlockHandle] | undefined {
  if (footer.length !== FOOTER_BYTES) return undefined;
  if (!equalBytes(footer.subarray(FOOTER_BYTES - MAGIC.length), MAGIC)) return undefined;
  const reader = new ByteReader(footer);
  const filters = parseHandle(reader);
  const index = parseHandle(reader);
  return filters === undefined || index === undefined ? undefined : [filters, index];
}

function handleAt({ bytes, valueStarts, valueEnds }: BlockEntries, at: number): BlockHandle | undefined {
  return parseHandle(new ByteReader(bytes.subarray(valueStarts[at], valueEnds[at])));
}

function parseHandle(reader: ByteReader): BlockHandle | undefined {
  const offset = reader.number();
  const size = reader.number();
  return offset === undefined || size === undefined ? undefined : { offset, size };
}

function isWhole(table: Uint8Array, { offset, size }: BlockHandle): boolean {
  return isWholeBlock(table.subarray(offset, offset + size + TRAILER_BYTES), size);
}

/** Whether a block of `size` bytes and its trailer match the checksum. */
function isWholeBlock(block: Uint8Array, size: number): boolean {
  if (block.length !== size + TRAILER_BYTES) return false;
  const stored = new DataView(block.buffer, block.byteOffset + size + 1, 4).getUint32(0, true);
  return maskedCrc32c(block.subarray(0, size + 1)) === stored;
}

function blockIn(table: Uint8Array, { offset, size }: BlockHandle): Uint8Array | undefined {
  return blockContents(table.subarray(offset, offset + size + TRAILER_BYTES));
}

/** Decompresses a block followed by its trailer; undefined when it is corrupt. */
function blockContents(block: Uint8Array): Uint8Array | undefined {
  const size = block.length - TRAILER_BYTES;
  return size < 0 || !isWholeBlock(block, size) ? undefined : decompressed(block);
}

/** Decompresses a block followed by its trailer; undefined when it is malformed. */
function decompressed(block: Uint8Array): Uint8Array | undefined {
  const size = block.length - TRAILER_BYTES;
  const bytes = block.subarray(0, size);
  return block[size] === SNAPPY ? unsnappy(bytes, MAX_TABLE_INDEX_BYTES) : bytes;
}

function handlesIn(
  block: Uint8Array | undefined,
  tagBytes: number,
): { key: Uint8Array; handle: BlockHandle }[] | undefined {
  const entries = block === undefined ? undefined : blockEntries(block, tagBytes);
  if (entries === undefined) return undefined;
  const handles: { key: Uint8Array; handle: BlockHandle }[] = [];
  for (const [at, key] of entries.keys.entries()) {
    const handle = handleAt(entries, at);
    if (handle === undefined) return undefined;
    handles.push({ key, handle });
  }
  return handles;
}

/**
 * Decodes a decompressed block; undefined when malformed. Keys are stored as the length shared with
 * the previous key, and the rest.
 * @param tagBytes 8, or 0 for keys without tags
 * @param isLoose whether to return the entries before a malformed one
 */
function blockEntries(block: Uint8Array, tagBytes = TAG_BYTES, isLoose = false): BlockEntries | undefined {
  if (block.length < 4) return undefined;
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 * (restarts + 1);
  if (end < 0) return undefined;
  const reader = new ByteReader(block.subarray(0, end));
  const keys: Uint8Array[] = [];
  const sequences: number[] = [];
  const areDeleted: boolean[] = [];
  const valueStarts: number[] = [];
  const valueEnds: number[] = [];
  const entries = { bytes: block, keys, sequences, areDeleted, valueStarts, valueEnds };
  const malformed = isLoose ? entries : undefined;
  // The key of the last entry, with its tag. Scans spend their time here: one new array for each key.
  let key: Uint8Array = new Uint8Array(64);
  let length = 0;
  while (!reader.isAtEnd) {
    const shared = reader.number();
    const rest = reader.number();
    const size = reader.number();
    if (shared === undefined || rest === undefined || size === undefined || shared > length) return malformed;
    const suffixAt = reader.at;
    if (!reader.skip(rest) || shared + rest < tagBytes) return malformed;
    const start = reader.at;
    if (!reader.skip(size)) return malformed;
    length = shared + rest;
    if (length > key.length) key = grown(key, length * 2);
    for (let at = 0; at < rest; at++) key[shared + at] = block[suffixAt + at] as number;
    const tagAt = length - tagBytes;
    keys.push(key.slice(0, tagAt));
    sequences.push(tagBytes === 0 ? 0 : sequenceAt(key, tagAt));
    areDeleted.push(tagBytes > 0 && key[tagAt] === DELETION);
    valueStarts.push(start);
    valueEnds.push(start + size);
  }
  return entries;
}

function grown(bytes: Uint8Array, size: number): Uint8Array {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

/** Decodes a tag's seven bytes after the kind; all numbers in use are safe integers. */
function sequenceAt(key: Uint8Array, at: number): number {
  const low =
    (key[at + 1] as number) |
    ((key[at + 2] as number) << 8) |
    ((key[at + 3] as number) << 16) |
    ((key[at + 4] as number) << 24);
  const high = (key[at + 5] as number) | ((key[at + 6] as number) << 8) | ((key[at + 7] as number) << 16);
  return (low >>> 0) + high * TWO_POW_32;
}

/** An open file of a database; stays readable after its name is removed. */
export interface DatabaseFile {
  /** Unique in the database; shown in messages. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Returns `length` bytes or up to the file's end, owned by the caller. Throws system errors. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Sorted entries in blocks: a table, or entries in memory. */
export interface SortedTable {
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  readonly blockCount: number;
  /** First block that may hold `key` or a later one; `blockCount` if none. */
  blockFrom(key: Uint8Array): number;
  /** Returns a block's entries, cached if `isKept` (for single keys, not scans). */
  block(number: number, isKept: boolean): BlockEntries;
  close(): void;
}

/** LRU cache of blocks, shared by all tables of a database. */
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
    // A Map iterates in insertion order: the first is the least recently used.
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
 * Reads a table block by block, verifying each checksum, which LevelDB 1.20 as built by `level`
 * does not. Reads of corrupt parts throw LevelDamage.
 */
export class TableReader implements SortedTable {
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  readonly #file: DatabaseFile;
  readonly #cache: BlockCache;
  #index: BlockEntries | undefined;

  /** `range`: the table's first and last key. */
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

  /** Yields the blocks that can be decoded, checksum or not, like LevelDB: callers must check every row. */
  *looseBlocks(): Generator<BlockEntries> {
    const { sizeBytes } = this.#file;
    const handles = parseFooter(this.#file.read(Math.max(0, sizeBytes - FOOTER_BYTES), FOOTER_BYTES));
    const index = handles === undefined ? undefined : this.#readLoosely(handles[1]);
    for (let at = 0; index !== undefined && at < index.keys.length; at++) {
      const handle = handleAt(index, at);
      const block = handle === undefined ? undefined : this.#readLoosely(handle);
      if (block !== undefined) yield block;
    }
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
    // Do not allocate a size that is itself corrupt.
    const stored = end <= this.#file.sizeBytes ? this.#file.read(offset, size + TRAILER_BYTES) : new Uint8Array();
    const block = blockContents(stored);
    const entries = block === undefined ? undefined : blockEntries(block);
    if (entries === undefined) throw this.#damage(`is damaged between byte ${offset} and ${end}`);
    return entries;
  }

  #readLoosely({ offset, size }: BlockHandle): BlockEntries | undefined {
    if (offset + size + TRAILER_BYTES > this.#file.sizeBytes) return undefined;
    const contents = decompressed(this.#file.read(offset, size + TRAILER_BYTES));
    return contents === undefined ? undefined : blockEntries(contents, TAG_BYTES, true);
  }

  #damage(what: string): LevelDamage {
    return new LevelDamage(`the table ${this.#file.name} ${what}`);
  }
}

/** Index of the first of sorted `keys` not before `key`. */
export function lowerBound(keys: readonly Uint8Array[], key: Uint8Array): number {
  return countBefore(keys.length, (place) => compareBytes(keys[place] as Uint8Array, key) < 0);
}
