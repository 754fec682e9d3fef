import { sha256 } from '#sha256';
import { startsWithBytes } from '../model/bytes.js';
import { HASH_BYTES } from '../model/digest.js';
import { StoreError } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import type { LogEntry } from './log.js';
import { decodeRecord } from './record.js';
import { eventKey, rowBytes, seqOfKey } from './rows.js';

/*
 * Rows of events. A row costs LevelDB more than the bytes of a small record, so the records of one
 * batch share rows. A row has the records of 2^level events, and begins after a multiple of 2^level:
 * which events a row has follows from any one of them and its level, and the row of an event has one
 * of seven keys. The key is that of its last event.
 *
 * Value: checksum (32 bytes), then its input: the level (1 byte); above level 0 the length of each
 * record (2 bytes); then each record. Above level 0 a zero byte precedes it; at level 0 the level is
 * that byte. So the input of each leaf hash stands in the row, and the checksum of a row of one event
 * is its leaf hash, as in version 1 of the format, which had no other rows.
 */

/** Highest level of a row. */
const MAX_LEVEL = 6;
/** Most events of a row. */
export const MAX_ROW_EVENTS = 2 ** MAX_LEVEL;
/** Most bytes of the records of a row of several events: a read of one event reads the whole row. */
const MAX_ROW_BYTES = 16 * 1024;
/** Bytes before the input of a checksum. */
const INPUT_START = HASH_BYTES;
const LEVEL_BYTES = 1;
/** Bytes of the length of a record. */
const LENGTH_BYTES = 2;

/** A row to write, with the leaf hash of each of its records. */
export interface WrittenEventRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Own buffers, of 32 bytes. */
  readonly leaves: readonly Uint8Array[];
}

/** Returns the rows of the records of events `first`, `first` + 1 and so on. */
export function formatEventRows(first: number, records: readonly Uint8Array[]): WrittenEventRow[] {
  const rows: WrittenEventRow[] = [];
  for (let at = 0; at < records.length; ) {
    const level = levelAt(first + at, records, at);
    const row = level === 0 ? [records[at] as Uint8Array] : records.slice(at, at + 2 ** level);
    at += row.length;
    rows.push({ key: eventKey(first + at - 1), ...formatEventRow(level, row) });
  }
  return rows;
}

/** The highest level of a row that begins with event `seq`, the record `at`. */
function levelAt(seq: number, records: readonly Uint8Array[], at: number): number {
  let level = 0;
  let [count, bytes] = [1, (records[at] as Uint8Array).length];
  while (level < MAX_LEVEL && (seq - 1) % (2 * count) === 0 && at + 2 * count <= records.length) {
    for (let next = at + count; next < at + 2 * count; next += 1) bytes += (records[next] as Uint8Array).length;
    if (bytes > MAX_ROW_BYTES) break;
    count *= 2;
    level += 1;
  }
  return level;
}

function formatEventRow(level: number, records: readonly Uint8Array[]): Omit<WrittenEventRow, 'key'> {
  const headBytes = level === 0 ? 0 : LEVEL_BYTES + LENGTH_BYTES * records.length;
  const length = records.reduce((sum, record) => sum + 1 + record.length, INPUT_START + headBytes);
  const value = rowBytes(length);
  const leaves: Uint8Array[] = [];
  let lengthAt = INPUT_START;
  if (level > 0) value[lengthAt++] = level;
  let start = INPUT_START + headBytes;
  for (const record of records) {
    if (level > 0) {
      value[lengthAt++] = record.length >>> 8;
      value[lengthAt++] = record.length;
    }
    value.set(record, start + 1);
    const end = start + 1 + record.length;
    leaves.push(sha256(value.subarray(start, end)));
    start = end;
  }
  value.set(level === 0 ? (leaves[0] as Uint8Array) : sha256(value.subarray(INPUT_START)));
  return { value, leaves };
}

/** First and last seq, inclusive. */
interface RowSpan {
  readonly first: number;
  readonly last: number;
}

/** Returns the last seqs that a row with event `seq` may have, ascending: one exists in a whole log. */
export function rowEnds(seq: number): number[] {
  const ends = [seq];
  for (let level = 1; level <= MAX_LEVEL; level += 1) {
    const end = endOfRow(seq, level);
    if (end !== ends[ends.length - 1]) ends.push(end);
  }
  return ends;
}

/** Returns the highest seq that may share a row with `seq`. */
export function lastRowEnd(seq: number): number {
  return endOfRow(seq, MAX_LEVEL);
}

/** Returns the lowest seq that a row may have whose last one is `last`. */
export function lowestOfRow(last: number): number {
  let count = 1;
  while (count < MAX_ROW_EVENTS && last % (2 * count) === 0) count *= 2;
  return last - count + 1;
}

function endOfRow(seq: number, level: number): number {
  const count = 2 ** level;
  return Math.ceil(seq / count) * count;
}

/** Returns the events of the row that has `seq`, unchecked; only `seq` when the row is no row of several. */
export function spanOfRow(row: Uint8Array, seq: number): RowSpan {
  const level = row[INPUT_START] ?? 0;
  if (level > MAX_LEVEL) return { first: seq, last: seq };
  const last = endOfRow(seq, level);
  return { first: last - 2 ** level + 1, last };
}

/** As `spanOfRow`, for the last event of the row: only that when the row cannot end with it. */
export function spanOfKey(row: Uint8Array, last: number): RowSpan {
  const span = spanOfRow(row, last);
  return span.last === last ? span : { first: last, last };
}

/** Records of a row, each as the input of its leaf hash: a zero byte, then the record. */
interface OpenRow extends RowSpan {
  /** Ends of the records in the row; each begins where the one before ends. */
  readonly ends: readonly number[];
  /** Where the first begins. */
  readonly start: number;
}

/** Returns where the records of a row are; undefined when it is malformed. Checks no hash. */
function openRow(row: Uint8Array, seq: number): OpenRow | undefined {
  const span = spanOfRow(row, seq);
  const count = span.last - span.first + 1;
  if (count === 1) {
    const isRow = row.length >= INPUT_START + 2 && row[INPUT_START] === 0;
    return isRow ? { ...span, start: INPUT_START, ends: [row.length] } : undefined;
  }
  const start = INPUT_START + LEVEL_BYTES + LENGTH_BYTES * count;
  if (row.length < start) return undefined;
  const ends: number[] = [];
  let end = start;
  for (let at = INPUT_START + LEVEL_BYTES; at < start; at += LENGTH_BYTES) {
    if (row[end] !== 0) return undefined;
    end += 1 + (((row[at] as number) << 8) | (row[at + 1] as number));
    ends.push(end);
  }
  return end === row.length ? { ...span, start, ends } : undefined;
}

/** @throws {StoreError} LOG_CORRUPT when the row is malformed, or not what its checksum says */
function checkedRow(row: Uint8Array, seq: number): OpenRow {
  if (row.length < INPUT_START + 2) throw corruptRow(seq, 'the row is cut short');
  // LevelDB rows are Buffers, whose `subarray` takes three times as long.
  const input = new Uint8Array(row.buffer, row.byteOffset + INPUT_START, row.length - INPUT_START);
  if (!startsWithBytes(row, sha256(input))) throw corruptRow(seq, checksumFault(row, seq));
  const open = openRow(row, seq);
  if (open === undefined) throw corruptRow(seq, 'the row is not one of records');
  return open;
}

function checksumFault(row: Uint8Array, seq: number): string {
  const { first, last } = spanOfRow(row, seq);
  if (first === last) return 'the record does not match its leaf hash';
  return `the records of events ${first} to ${last} do not match the checksum of their row`;
}

/** Input of the leaf hash of event `seq`: a zero byte and the record. */
function inputIn(row: Uint8Array, { first, start, ends }: OpenRow, seq: number): Uint8Array {
  const at = seq - first;
  const begin = at === 0 ? start : (ends[at - 1] as number);
  return new Uint8Array(row.buffer, row.byteOffset + begin, (ends[at] as number) - begin);
}

function recordIn(row: Uint8Array, open: OpenRow, seq: number): Uint8Array {
  const input = inputIn(row, open, seq);
  return new Uint8Array(input.buffer, input.byteOffset + 1, input.length - 1);
}

function eventIn(record: Uint8Array, seq: number): StoredEvent {
  const event = decodeRecord(record);
  if (event.seq !== seq) throw corruptRow(seq, `the record says seq ${event.seq}`);
  return event;
}

/**
 * Verifies the row that has event `seq`, and returns what decodes its events: `seq` or another of the row.
 * @throws {StoreError} LOG_CORRUPT when the checksum, a record or its seq is wrong
 */
export function openEventRow(row: Uint8Array, seq: number): (seq: number) => StoredEvent {
  const open = checkedRow(row, seq);
  return (wanted) => {
    if (wanted < open.first || wanted > open.last) throw corruptRow(wanted, 'its row is missing');
    return eventIn(recordIn(row, open, wanted), wanted);
  };
}

/** Verifies the row that has event `seq`, and decodes that event. @throws as `openEventRow` */
export function parseEventRow(row: Uint8Array, seq: number): StoredEvent {
  return openEventRow(row, seq)(seq);
}

/** Events of a row to decode. */
interface RowPart extends RowSpan {
  /** Takes each event, with its record as a view of the row, in ascending order. */
  readonly take: (event: StoredEvent, record: Uint8Array) => void;
}

/**
 * Verifies the row that has event `seq`, passes on its events from `first` to `last`, and returns which it has.
 * @throws {StoreError} LOG_CORRUPT, as `parseEventRow`
 */
export function readEventRow(row: Uint8Array, seq: number, { first, last, take }: RowPart): RowSpan {
  const open = checkedRow(row, seq);
  const end = Math.min(last, open.last);
  for (let at = Math.max(first, open.first); at <= end; at += 1) {
    const record = recordIn(row, open, at);
    take(eventIn(record, at), record);
  }
  return open;
}

/**
 * Returns the events of a stored row, ascending; none when it is damaged.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED for a record of a newer format
 */
export function wholeEntries([key, row]: readonly [key: Uint8Array, row: Uint8Array]): LogEntry[] {
  const entries: LogEntry[] = [];
  const last = seqOfKey(key);
  try {
    readEventRow(row, last, { first: 1, last, take: (event, record) => entries.push({ event, record }) });
    return entries;
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'Corrupt') return [];
    throw error;
  }
}

/**
 * Verifies the row that has event `seq` and passes on the leaf hash of each of its events.
 * @throws {StoreError} LOG_CORRUPT when the checksum is wrong
 */
export function leavesOfRow(row: Uint8Array, seq: number, take: (hash: Uint8Array, seq: number) => void): void {
  const open = checkedRow(row, seq);
  if (open.first === open.last) take(row.subarray(0, HASH_BYTES), seq);
  else for (let at = open.first; at <= open.last; at += 1) take(sha256(inputIn(row, open, at)), at);
}

/** A row of several events as stored. */
export interface SharedRow extends RowSpan {
  /** Whether it is what its checksum says. */
  readonly isWhole: boolean;
}

/** A record as stored. */
export interface UncheckedRecord {
  readonly seq: number;
  /** Empty when the row is too short for it. */
  readonly record: Uint8Array;
  /** Stored leaf hash; undefined when it is missing, or the row has several events and so none. */
  readonly leafHash: Uint8Array | undefined;
  /** The row of several that it is in. */
  readonly sharedRow?: SharedRow;
}

/**
 * Returns what a row with the key of `last` has, which follows a row that ends with `after`. Of a row of
 * several events that cannot be told apart, each has an empty record.
 */
export function uncheckedRecords(
  row: Uint8Array,
  { after, last }: { readonly after: number; readonly last: number },
): UncheckedRecord[] {
  const { first } = spanOfKey(row, last);
  // A row of one whose level was changed would have events that others have.
  if (first === last || first <= after) {
    // If the byte before the record is wrong, it is hashed with it.
    const start = row[INPUT_START] === 0 ? INPUT_START + 1 : INPUT_START;
    const stored = row.length < HASH_BYTES ? undefined : row.subarray(0, HASH_BYTES);
    return [{ seq: last, record: row.subarray(start), leafHash: stored }];
  }
  const open = openRow(row, last);
  const isWhole = open !== undefined && startsWithBytes(row, sha256(row.subarray(INPUT_START)));
  const sharedRow = { first, last, isWhole };
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const record = open === undefined ? new Uint8Array(0) : recordIn(row, open, first + at);
    return { seq: first + at, record, leafHash: undefined, sharedRow };
  });
}

function corruptRow(seq: number, why: string): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} of the log is damaged: ${why}`, { data: { seq } });
}
