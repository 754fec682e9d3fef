import { lowestOfRow, spanOfKey } from '../event-rows.js';
import { EVENT_KEY_BYTES, EVENT_PREFIX, seqOfKey } from '../rows.js';
import { ByteReader } from '../../model/bytes.js';
import { maskedCrc32c } from './coding.js';
import { MAX_SCANNED_BYTES } from '../../limits.js';

/** Possible seqs of events; `last` may be infinite. */
export interface EventRange {
  readonly first: number;
  readonly last: number;
}

/** Returns the possible seqs of events between two keys, inclusive; undefined for none. */
export function eventsBetween(low: Uint8Array, high: Uint8Array): EventRange | undefined {
  if ((low[0] ?? 0) > EVENT_PREFIX || (high[0] ?? 0) < EVENT_PREFIX) return undefined;
  return {
    // Its row may have events before.
    first: isEventKey(low) ? lowestOfRow(seqOfKey(low)) : 1,
    last: isEventKey(high) ? seqOfKey(high) : Number.POSITIVE_INFINITY,
  };
}

function isEventKey(key: Uint8Array): boolean {
  return key[0] === EVENT_PREFIX && key.length === EVENT_KEY_BYTES;
}

/** A table file of the database. */
export interface Table {
  /** 0 to 6; only tables of level 0 may overlap. */
  readonly level: number;
  /** Bytes. */
  readonly size: number;
  /** First and last key. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  /** Possible seqs of its events; undefined when it has none. */
  readonly events: EventRange | undefined;
}

/** The state that a MANIFEST's edits add up to. */
export interface Manifest {
  /** Oldest write-ahead log not yet in tables; 0 before there is any. */
  readonly logNumber: number;
  readonly previousLogNumber: number;
  /** LevelDB's entry counter at the last edit. */
  readonly lastSequence: number;
  /** By file number. */
  readonly tables: ReadonlyMap<number, Table>;
}

/** Field tags of an edit (db/version_edit.cc). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE_NUMBER = 3;
const LAST_SEQUENCE = 4;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;
const PREVIOUS_LOG_NUMBER = 9;
/** LevelDB's sequence number and kind, after each key (db/dbformat.h). */
const TAG_BYTES = 8;

/** Applies all edits; undefined when one is malformed. */
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

/** Returns false when the field is malformed. */
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

/** Strips LevelDB's tag. */
function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, Math.max(0, key.length - TAG_BYTES));
}

/*
 * LevelDB's write-ahead logs and MANIFEST files (doc/log_format.md): 32 KiB blocks of fragments,
 * each a checksum (4 bytes), length (2), type (1) and payload. LevelDB silently drops the rest of a
 * block after a bad fragment; this parser finds every whole record and reports what is between.
 */

const BLOCK_BYTES = 32_768;
const FRAGMENT_HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

interface FileRecord {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes of no whole record, before a whole one. */
export interface DamagedStretch {
  readonly offset: number;
  readonly end: number;
}

interface RecordFile {
  readonly records: readonly FileRecord[];
  /** Damage before whole records; a single writer that syncs each record never leaves any. */
  readonly damaged: readonly DamagedStretch[];
  /** Offset of an incomplete end, with nothing whole after it: from a crash, or from damage. */
  readonly tornAt: number | undefined;
}

/** Finds every whole record and the damage between. Never throws. */
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

/** The rest of a block too short for a header; ignored. */
function isTrailer(bytes: Uint8Array, at: number): boolean {
  const end = blockEnd(at);
  return end - at < FRAGMENT_HEADER_BYTES && end <= bytes.length;
}

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

/** Returns the fragment at `at` if its checksum matches. */
function fragmentAt(bytes: Uint8Array, at: number): Fragment | undefined {
  const type = bytes[at + 6];
  if (type === undefined || type < FULL || type > LAST) return undefined;
  const end = at + FRAGMENT_HEADER_BYTES + lengthAt(bytes, at);
  if (end > Math.min(blockEnd(at), bytes.length)) return undefined;
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (maskedCrc32c(bytes.subarray(at + 6, end)) !== stored) return undefined;
  return { type, payload: bytes.subarray(at + FRAGMENT_HEADER_BYTES, end), end };
}

/** Finds the next fragment that may begin a record, at any offset; the file's end if none. */
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

/** Header and events of a batch in a write-ahead log (db/write_batch.cc). */
export interface WriteBatch {
  /** LevelDB's number of the first entry; the next batch continues after the last. */
  readonly sequence: number;
  readonly count: number;
  /** First and last event put; undefined when there is none. */
  readonly events: { readonly first: number; readonly last: number } | undefined;
}

const BATCH_HEADER_BYTES = 12;
const TWO_POW_32 = 2 ** 32;
const DELETION = 0;
const PUT = 1;

/** A put or a deletion. */
export interface BatchEntry {
  readonly key: Uint8Array;
  /** LevelDB's number of the entry. */
  readonly sequence: number;
  /** Undefined for a deletion. */
  readonly value: Uint8Array | undefined;
}

/** Parses a batch; undefined when malformed. */
export function parseWriteBatch(bytes: Uint8Array): WriteBatch | undefined {
  let first: number | undefined;
  let last = 0;
  const header = readWriteBatch(bytes, ({ key, value }) => {
    if (value === undefined || key.length !== EVENT_KEY_BYTES || key[0] !== EVENT_PREFIX) return;
    last = seqOfKey(key);
    first ??= spanOfKey(value, last).first;
  });
  return header === undefined ? undefined : { ...header, events: first === undefined ? undefined : { first, last } };
}

/**
 * Passes each entry to `take` in order and returns the header; undefined for a malformed batch, of
 * which some entries may have been passed.
 */
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
