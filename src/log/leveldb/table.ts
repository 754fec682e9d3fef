import { MAX_TABLE_INDEX_BYTES } from '../../limits.js';
import { ByteReader } from './byte-reader.js';
import { maskedCrc32c } from './crc32c.js';
import { type EventRange, eventsBetween } from './event-range.js';
import { unsnappy } from './snappy.js';

/*
 * The format of LevelDB's tables (doc/table_format.md): blocks of entries, a filter of their keys, an index with the place of each, and a
 * footer with the place of the index. Behind each block stand its compression and its checksum, which LevelDB 1.20 as it is built here does not look at: a bit that
 * flipped in a block is a wrong row, an entry that is not found, or the end of the process at an assertion.
 */

/** Bytes of the footer at the end of a table. */
const FOOTER_BYTES = 48;
/** Bytes behind each block. */
const TRAILER_BYTES = 5;
const SNAPPY = 1;
/** The last eight bytes of a table. */
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

/** Where a block stands in a table; its trailer comes behind it. */
interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

/** Something that is not as LevelDB wrote it. */
export interface TableFault {
  readonly message: string;
  /** Events that it can cost; undefined when they are all that the table has. */
  readonly events: EventRange | undefined;
  readonly isWholeTable: boolean;
}

/** Returns what of a table is not as LevelDB wrote it, block by block. Never throws. */
export function tableFaults(table: Uint8Array): TableFault[] {
  const handles = parseFooter(table.subarray(Math.max(0, table.length - FOOTER_BYTES)));
  if (handles === undefined) return [wholeTable('has a damaged end')];
  const [filters, entries] = handles.map((handle) => entriesOf(table, handle));
  // A filter says which keys are in the table at all.
  if (filters === undefined || entries === undefined || !filters.every(({ handle }) => isWholeBlock(table, handle))) {
    return [wholeTable('has a damaged index')];
  }
  const faults: TableFault[] = [];
  let before: Uint8Array = new Uint8Array();
  for (const { key, handle } of entries) {
    if (!isWholeBlock(table, handle)) {
      const message = `is damaged between byte ${handle.offset} and ${handle.offset + handle.size + TRAILER_BYTES}`;
      faults.push({ message, events: eventsBetween(before, key), isWholeTable: false });
    }
    before = key;
  }
  return faults;
}

function entriesOf(table: Uint8Array, handle: BlockHandle): IndexEntry[] | undefined {
  const block = blockAt(table, handle);
  return block === undefined ? undefined : indexEntries(block);
}

function wholeTable(message: string): TableFault {
  return { message, events: undefined, isWholeTable: true };
}

/** Returns where the two blocks stand by which all others are found, or undefined when these bytes are no footer. */
function parseFooter(footer: Uint8Array): readonly BlockHandle[] | undefined {
  if (footer.length !== FOOTER_BYTES) return undefined;
  if (!MAGIC.every((byte, at) => footer[FOOTER_BYTES - MAGIC.length + at] === byte)) return undefined;
  const reader = new ByteReader(footer);
  const handles = [parseHandle(reader), parseHandle(reader)];
  return handles.every((handle) => handle !== undefined) ? handles : undefined;
}

function parseHandle(reader: ByteReader): BlockHandle | undefined {
  const offset = reader.number();
  const size = reader.number();
  return offset === undefined || size === undefined ? undefined : { offset, size };
}

function isWholeBlock(table: Uint8Array, { offset, size }: BlockHandle): boolean {
  const end = offset + size + 1;
  if (end + 4 > table.length) return false;
  const stored = new DataView(table.buffer, table.byteOffset + end, 4).getUint32(0, true);
  return maskedCrc32c(table.subarray(offset, end)) === stored;
}

/** Returns the bytes of a block as they were before they were compressed, or undefined when it is not whole. */
function blockAt(table: Uint8Array, handle: BlockHandle): Uint8Array | undefined {
  if (!isWholeBlock(table, handle)) return undefined;
  const bytes = table.subarray(handle.offset, handle.offset + handle.size);
  return table[handle.offset + handle.size] === SNAPPY ? unsnappy(bytes, MAX_TABLE_INDEX_BYTES) : bytes;
}

interface IndexEntry {
  /** At or after the last key of the block, and before the first of the next one. */
  readonly key: Uint8Array;
  readonly handle: BlockHandle;
}

/** Returns the entries of an index block: each key is given by what it shares with the one before, and the rest. */
function indexEntries(block: Uint8Array): IndexEntry[] | undefined {
  if (block.length < 4) return undefined;
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 * (restarts + 1);
  if (end < 0) return undefined;
  const reader = new ByteReader(block.subarray(0, end));
  const entries: IndexEntry[] = [];
  let before: Uint8Array = new Uint8Array();
  while (!reader.isAtEnd) {
    const [shared, rest, size] = [reader.number(), reader.number(), reader.number()];
    const suffix = rest === undefined ? undefined : reader.take(rest);
    const value = size === undefined ? undefined : reader.take(size);
    if (shared === undefined || suffix === undefined || value === undefined || shared > before.length) return undefined;
    const handle = parseHandle(new ByteReader(value));
    if (handle === undefined) return undefined;
    const key = new Uint8Array(shared + suffix.length);
    key.set(before.subarray(0, shared));
    key.set(suffix, shared);
    entries.push({ key, handle });
    before = key;
  }
  return entries;
}
