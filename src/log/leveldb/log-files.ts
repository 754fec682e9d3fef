import { EVENT_KEY_BYTES, EVENT_PREFIX, seqOfKey } from '../rows.js';
import { ByteReader, maskedCrc32c } from './coding.js';
import { MAX_SCANNED_BYTES } from '../../limits.js';

/** Seqs that events can have; `last` may be infinite. */
export interface EventRange {
  readonly first: number;
  readonly last: number;
}

/** Returns the seqs of events whose keys are between two keys, inclusive; undefined when there can be none. */
export function eventsBetween(low: Uint8Array, high: Uint8Array): EventRange | undefined {
  if ((low[0] ?? 0) > EVENT_PREFIX || (high[0] ?? 0) < EVENT_PREFIX) return undefined;
  return {
    first: isEventKey(low) ? seqOfKey(low) : 1,
    last: isEventKey(high) ? seqOfKey(high) : Number.POSITIVE_INFINITY,
  };
}

function isEventKey(key: Uint8Array): boolean {
  return key[0] === EVENT_PREFIX && key.length === EVENT_KEY_BYTES;
}

/** A table that the database is made of. */
export interface Table {
  /** 0 to 6: tables of level 0 may have keys in common, those of another level have none. */
  readonly level: number;
  /** Size of its file in bytes. */
  readonly size: number;
  /** Its first and last key. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  /** Seqs that events in it can have; undefined when it has none. */
  readonly events: EventRange | undefined;
}

/** What the edits of a MANIFEST come to: the files that make up the database. */
export interface Manifest {
  /** The oldest write-ahead log that is not in the tables yet; 0 before there is any. */
  readonly logNumber: number;
  readonly previousLogNumber: number;
  /** LevelDB's own count of written entries, when the last edit was made. */
  readonly lastSequence: number;
  /** Each table by its number. */
  readonly tables: ReadonlyMap<number, Table>;
}

/** The kinds of fields of an edit (db/version_edit.cc). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE_NUMBER = 3;
const LAST_SEQUENCE = 4;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;
const PREVIOUS_LOG_NUMBER = 9;
/** LevelDB's number and kind of an entry, behind its key (db/dbformat.h). */
const TAG_BYTES = 8;

/** Returns what the edits come to, or undefined when one of them is none. */
export function parseManifest(edits: Iterable<Uint8Array>): Manifest | undefined {
  const fields = new Map<number, number>();
  const tables = new Map<number, Table>();
  for (const edit of edits) {
    const reader = new ByteReader(edit);
    while (!reader.isAtEnd) if (!readField(reader, fields, tables)) return undefined;
  }
  const logNumber = fields.get(LOG_NUMBER);
  const lastSequence = fields.get(LAST_SEQUENCE);
  if (logNumber === undefined || lastSequence === undefined || !fields.has(NEXT_FILE_NUMBER)) return undefined;
  return { logNumber, previousLogNumber: fields.get(PREVIOUS_LOG_NUMBER) ?? 0, lastSequence, tables };
}

/** Reads one field; false when it is none. */
function readField(reader: ByteReader, fields: Map<number, number>, tables: Map<number, Table>): boolean {
  const tag = reader.number();
  switch (tag) {
    case COMPARATOR:
      return reader.string() !== undefined;
    case LOG_NUMBER:
    case NEXT_FILE_NUMBER:
    case LAST_SEQUENCE:
    case PREVIOUS_LOG_NUMBER: {
      const value = reader.number();
      if (value !== undefined) fields.set(tag, value);
      return value !== undefined;
    }
    case COMPACT_POINTER:
      return reader.number() !== undefined && reader.string() !== undefined;
    case DELETED_FILE: {
      const number = reader.number() === undefined ? undefined : reader.number();
      if (number !== undefined) tables.delete(number);
      return number !== undefined;
    }
    case NEW_FILE:
      return readNewFile(reader, tables);
    default:
      return false;
  }
}

function readNewFile(reader: ByteReader, tables: Map<number, Table>): boolean {
  const level = reader.number();
  const number = reader.number();
  const size = reader.number();
  const smallest = reader.string();
  const largest = reader.string();
  if (level === undefined || number === undefined || size === undefined) return false;
  if (smallest === undefined || largest === undefined) return false;
  const [low, high] = [userKey(smallest), userKey(largest)];
  tables.set(number, { level, size, smallest: low, largest: high, events: eventsBetween(low, high) });
  return true;
}

/** A key as LevelDB's caller knows it: without LevelDB's own number and kind of the entry. */
function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, Math.max(0, key.length - TAG_BYTES));
}

/*
 * The format of LevelDB's write-ahead logs and MANIFEST files (doc/log_format.md): blocks of 32 KiB, in them fragments of a
 * checksum (4 bytes), a length (2), a type (1) and that many bytes. LevelDB itself drops what is behind a bad fragment to the
 * end of its block, and says nothing: here everything that is whole is found, and what is between is named.
 */

const BLOCK_BYTES = 32_768;
const FRAGMENT_HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/** A whole record, and where its first fragment begins. */
interface FileRecord {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes that belong to no whole record, between two that are whole, or before the first. */
export interface DamagedStretch {
  readonly offset: number;
  readonly end: number;
}

/** What stands in such a file. */
interface RecordFile {
  readonly records: readonly FileRecord[];
  /** Damage with whole records behind it. One writer that syncs each record before the next leaves none, also in a crash. */
  readonly damaged: readonly DamagedStretch[];
  /** Where the last, unfinished write begins, with nothing whole behind it: a crash leaves that, and so does damage at the end. */
  readonly tornAt: number | undefined;
}

/** Returns every whole record of a file in order, and what is between them. Never throws. */
export function parseRecordFile(bytes: Uint8Array): RecordFile {
  const records: FileRecord[] = [];
  const damaged: DamagedStretch[] = [];
  let badFrom: number | undefined;
  const scan = { bytesLeft: MAX_SCANNED_BYTES };
  for (let at = 0; at < bytes.length; ) {
    const found = recordAt(bytes, at);
    if (found === undefined) {
      if (!isTrailer(bytes, at)) badFrom ??= at;
      at = isTrailer(bytes, at) ? blockEnd(at) : nextStart(bytes, at + 1, scan);
      continue;
    }
    if (badFrom !== undefined) damaged.push({ offset: badFrom, end: at });
    badFrom = undefined;
    records.push({ offset: at, bytes: found.bytes });
    at = found.end;
  }
  return { records, damaged, tornAt: badFrom };
}

/** The rest of a block that is too short for a header. Nothing reads what is in it. */
function isTrailer(bytes: Uint8Array, at: number): boolean {
  const end = blockEnd(at);
  return end - at < FRAGMENT_HEADER_BYTES && end <= bytes.length;
}

/** Returns the record that begins at `at`, if a whole one does. */
function recordAt(bytes: Uint8Array, at: number): { bytes: Uint8Array; end: number } | undefined {
  const first = fragmentAt(bytes, at);
  if (first?.type === FULL) return { bytes: first.payload, end: first.end };
  if (first?.type !== FIRST) return undefined;
  const pieces = [first.payload];
  let end = first.end;
  for (;;) {
    if (isTrailer(bytes, end)) end = blockEnd(end);
    const next = fragmentAt(bytes, end);
    if (next === undefined || (next.type !== MIDDLE && next.type !== LAST)) return undefined;
    pieces.push(next.payload);
    end = next.end;
    if (next.type === LAST) return { bytes: joined(pieces), end };
  }
}

interface Fragment {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly end: number;
}

/** Returns the fragment that begins at `at`, if its checksum is right. */
function fragmentAt(bytes: Uint8Array, at: number): Fragment | undefined {
  const type = bytes[at + 6];
  if (type === undefined || type < FULL || type > LAST) return undefined;
  const end = at + FRAGMENT_HEADER_BYTES + lengthAt(bytes, at);
  if (end > Math.min(blockEnd(at), bytes.length)) return undefined;
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (maskedCrc32c(bytes.subarray(at + 6, end)) !== stored) return undefined;
  return { type, payload: bytes.subarray(at + FRAGMENT_HEADER_BYTES, end), end };
}

/** Returns where the next fragment stands that may begin a record, wherever in a block; the end of the file when there is none. */
function nextStart(bytes: Uint8Array, from: number, scan: { bytesLeft: number }): number {
  for (let at = from; at < bytes.length && scan.bytesLeft > 0; at++) {
    const type = bytes[at + 6];
    if (type !== FULL && type !== FIRST) continue;
    if (fragmentAt(bytes, at) !== undefined) return at;
    scan.bytesLeft -= lengthAt(bytes, at);
  }
  return bytes.length;
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at + 4] as number) + (bytes[at + 5] as number) * 256;
}

function blockEnd(at: number): number {
  return at - (at % BLOCK_BYTES) + BLOCK_BYTES;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** What is in a batch that LevelDB wrote to its log (db/write_batch.cc). */
export interface WriteBatch {
  /** LevelDB's own number of its first entry; the next batch continues after its last. */
  readonly sequence: number;
  readonly count: number;
  /** The first and the last event that it puts; undefined when it puts none. */
  readonly events: { readonly first: number; readonly last: number } | undefined;
}

const BATCH_HEADER_BYTES = 12;
const TWO_POW_32 = 2 ** 32;
const DELETION = 0;
const PUT = 1;

/** One entry of a batch. */
export interface BatchEntry {
  readonly key: Uint8Array;
  /** LevelDB's own number of it. */
  readonly sequence: number;
  /** Undefined for a deletion. */
  readonly value: Uint8Array | undefined;
}

/** Returns what a batch holds, or undefined when the bytes are none. */
export function parseWriteBatch(bytes: Uint8Array): WriteBatch | undefined {
  let first: number | undefined;
  let last = 0;
  const header = readWriteBatch(bytes, ({ key, value }) => {
    if (value === undefined || key.length !== EVENT_KEY_BYTES || key[0] !== EVENT_PREFIX) return;
    last = seqOfKey(key);
    first ??= last;
  });
  return header === undefined ? undefined : { ...header, events: first === undefined ? undefined : { first, last } };
}

/** Gives `take` each entry of a batch in order, and returns its head; undefined when the bytes are no batch, some of which may be given before. */
export function readWriteBatch(
  bytes: Uint8Array,
  take: (entry: BatchEntry) => void,
): { readonly sequence: number; readonly count: number } | undefined {
  if (bytes.length < BATCH_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BATCH_HEADER_BYTES);
  const sequence = view.getUint32(0, true) + view.getUint32(4, true) * TWO_POW_32;
  const count = view.getUint32(8, true);
  const reader = new ByteReader(bytes, BATCH_HEADER_BYTES);
  let entries = 0;
  for (; !reader.isAtEnd; entries++) {
    const kind = reader.byte();
    const key = reader.string();
    if (key === undefined || (kind !== DELETION && kind !== PUT)) return undefined;
    const value = kind === PUT ? reader.string() : undefined;
    if (kind === PUT && value === undefined) return undefined;
    take({ key, sequence: sequence + entries, value });
  }
  return entries === count ? { sequence, count } : undefined;
}
