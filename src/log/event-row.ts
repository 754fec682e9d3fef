import { StoreError } from '../errors.js';
import { HASH_BYTES, type Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { LEAF_PREFIX } from './leaf-hash.js';
import type { LogEntry } from './log.js';
import { decodeRecord } from './record.js';
import { rowBytes } from './row-bytes.js';

/*
 * The value of an event's row: its leaf hash (32 bytes), then the input of that hash (a zero byte and the
 * record). Kept in this order, a reader hashes what stands there without copying it.
 */

/** Returns the row that holds `record`. */
export function formatEventRow(record: Uint8Array, hash: Sha256): Uint8Array {
  const row = rowBytes(HASH_BYTES + 1 + record.length);
  row[HASH_BYTES] = LEAF_PREFIX;
  row.set(record, HASH_BYTES + 1);
  row.set(hash(row.subarray(HASH_BYTES)));
  return row;
}

/**
 * Returns the event of a row read at `seq`, after the row proved to be what was written there.
 * @throws {StoreError} LOG_CORRUPT when the hash, the record or its seq is not what it must be
 */
export function parseEventRow(row: Uint8Array, seq: number, hash: Sha256): StoredEvent {
  const event = decodeRecord(checkedInput(row, seq, hash), 1);
  if (event.seq !== seq) throw corruptRow(seq, `the record says seq ${event.seq}`);
  return event;
}

/**
 * Returns the leaf hash of a row read at `seq`, as a part of it, after the record proved to have it.
 * @throws {StoreError} LOG_CORRUPT when it has another
 */
export function leafHashOfRow(row: Uint8Array, seq: number, hash: Sha256): Uint8Array {
  checkedInput(row, seq, hash);
  return row.subarray(0, HASH_BYTES);
}

/**
 * Returns the event of a row as `parseEventRow` does, with its record: a part of `row`.
 * @throws {StoreError} LOG_CORRUPT, as `parseEventRow`
 */
export function parseEntryRow(row: Uint8Array, seq: number, hash: Sha256): LogEntry {
  return { event: parseEventRow(row, seq, hash), record: row.subarray(HASH_BYTES + 1) };
}

/** Returns the input of the leaf hash, a part of `row`, which proved to have that hash. */
function checkedInput(row: Uint8Array, seq: number, hash: Sha256): Uint8Array {
  if (row.length < HASH_BYTES + 2) throw corruptRow(seq, 'the row is cut short');
  // A row of LevelDB is a Buffer, whose `subarray` takes three times as long.
  const input = new Uint8Array(row.buffer, row.byteOffset + HASH_BYTES, row.length - HASH_BYTES);
  if (input[0] !== LEAF_PREFIX) throw corruptRow(seq, 'the row is not a record');
  if (!equalBytes(hash(input), row)) throw corruptRow(seq, 'the record does not match its leaf hash');
  return input;
}

function corruptRow(seq: number, why: string): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} of the log is damaged: ${why}`, { data: { seq } });
}

function equalBytes(hash: Uint8Array, row: Uint8Array): boolean {
  for (let at = 0; at < HASH_BYTES; at++) if (hash[at] !== row[at]) return false;
  return true;
}
