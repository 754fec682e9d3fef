import { sha256 } from '#sha256';
import { Packr } from 'msgpackr';
import { type Digest, HASH_BYTES, hashFromDigest, putHash } from '../model/digest.js';
import { StoreError } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import { LEAF_PREFIX } from './merkle.js';
import type { ConsumerPosition, LogEntry } from './log.js';
import { decodeRecord } from './record.js';
import { FieldReader } from '../model/record-fields.js';

/** Bytes that are asked of the system at once. */
const SLAB_BYTES = 16 * 1024;

let slab = new ArrayBuffer(0);
let taken = 0;

/**
 * Returns `length` zero bytes for a key or a row on its way into the database: a part of a larger buffer that nobody else
 * has. The database needs bytes outside of the JavaScript heap, and to ask for those of each row by themselves costs ten
 * times as much. Whoever keeps some for long copies them: they hold the whole buffer.
 */
export function rowBytes(length: number): Uint8Array {
  if (length > SLAB_BYTES / 4) return new Uint8Array(length);
  if (length > slab.byteLength - taken) {
    slab = new ArrayBuffer(SLAB_BYTES);
    taken = 0;
  }
  const bytes = new Uint8Array(slab, taken, length);
  taken += length;
  return bytes;
}

/*
 * The rows of the database. One byte says the kind, then the fixed-width key:
 * numbers big-endian, so that the order of keys is the order of events.
 */

/** First byte of an event's key; eight bytes of seq follow. */
export const EVENT_PREFIX = 0x65; // e
/** First byte of a content row's key; the 32 bytes of its hash follow. */
export const CONTENT_PREFIX = 0x63; // c

/** First byte of a subject row's key; a byte for the kind of subject, eight of its hash and the last seq of the row follow. */
export const SUBJECT_PREFIX = 0x73; // s
/** First byte of the key of a consumer's position; its name in UTF-8 follows. */
export const POSITION_PREFIX = 0x70; // p
/** First byte of a tree row's key; a byte for the level, from 1 up, and eight for the index among its hashes follow. */
export const TREE_PREFIX = 0x74; // t

/** First byte of the key of a mark: content was removed and its bytes may still be on the disk. Its hash and a seq follow. */
export const REMOVED_PREFIX = 0x78; // x

/** Length of a seq at the end of a key. */
export const SEQ_BYTES = 8;
/** Length of an event's key. */
export const EVENT_KEY_BYTES = 1 + SEQ_BYTES;
const TWO_POW_32 = 2 ** 32;

/** Returns the key of the event at `seq`, 1 to 2^53 - 1. */
export function eventKey(seq: number): Uint8Array {
  const key = rowBytes(EVENT_KEY_BYTES);
  key[0] = EVENT_PREFIX;
  putSeq(key, seq);
  return key;
}

/** Returns the key of a row that is ordered by `seq` among those that begin with `prefix`. */
export function keyAt(prefix: Uint8Array, seq: number): Uint8Array {
  const key = rowBytes(prefix.length + SEQ_BYTES);
  key.set(prefix);
  putSeq(key, seq);
  return key;
}

/** Writes `seq`, 0 to 2^53 - 1, into the last eight bytes of `key`. */
export function putSeq(key: Uint8Array, seq: number): void {
  // A DataView would cost as much as all the rest of the key.
  putUint32(key, key.length - SEQ_BYTES, Math.floor(seq / TWO_POW_32));
  putUint32(key, key.length - 4, seq % TWO_POW_32);
}

function putUint32(key: Uint8Array, at: number, value: number): void {
  key[at] = value >>> 24;
  key[at + 1] = value >>> 16;
  key[at + 2] = value >>> 8;
  key[at + 3] = value;
}

/** Returns the key of hash `index` of a level of tiles, 1 or above. */
export function treeKey(level: number, index: number): Uint8Array {
  return keyAt(Uint8Array.of(TREE_PREFIX, level), index);
}

/** Returns the number at the end of a key: the seq of an event or a subject row, the index of a tree row. */
export function seqOfKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset + key.byteLength - SEQ_BYTES, SEQ_BYTES);
  return view.getUint32(0) * TWO_POW_32 + view.getUint32(4);
}

/** Returns the key of the position of the consumer `name`. */
export function positionKey(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  const key = new Uint8Array(1 + text.length);
  key[0] = POSITION_PREFIX;
  key.set(text, 1);
  return key;
}

/** Returns the consumer whose position has this key. */
export function nameOfPositionKey(key: Uint8Array): string {
  return new TextDecoder().decode(key.subarray(1));
}

/** Returns the key of the content that `digest` names. */
export function contentKey(digest: Digest): Uint8Array {
  const key = rowBytes(1 + HASH_BYTES);
  key[0] = CONTENT_PREFIX;
  putHash(digest, key.subarray(1));
  return key;
}

/** Returns the key of the mark of content that the batch which begins at `seq` removed: each removal has its own. */
export function removedKey(digest: Digest, seq: number): Uint8Array {
  return keyAt(Uint8Array.from([REMOVED_PREFIX, ...hashFromDigest(digest)]), seq);
}

/** Returns the key of the content row that a mark is about. */
export function contentKeyOfRemoved(key: Uint8Array): Uint8Array {
  return Uint8Array.from([CONTENT_PREFIX, ...key.subarray(1, 1 + HASH_BYTES)]);
}

/*
 * The value of an event's row: its leaf hash (32 bytes), then the input of that hash (a zero byte and the
 * record). Kept in this order, a reader hashes what stands there without copying it.
 */

/** Returns the row that holds `record`. */
export function formatEventRow(record: Uint8Array): Uint8Array {
  const row = rowBytes(HASH_BYTES + 1 + record.length);
  row[HASH_BYTES] = LEAF_PREFIX;
  row.set(record, HASH_BYTES + 1);
  row.set(sha256(row.subarray(HASH_BYTES)));
  return row;
}

/**
 * Returns the event of a row read at `seq`, after the row proved to be what was written there.
 * @throws {StoreError} LOG_CORRUPT when the hash, the record or its seq is not what it must be
 */
export function parseEventRow(row: Uint8Array, seq: number): StoredEvent {
  const event = decodeRecord(checkedInput(row, seq), 1);
  if (event.seq !== seq) throw corruptRow(seq, `the record says seq ${event.seq}`);
  return event;
}

/**
 * Returns the leaf hash of a row read at `seq`, as a part of it, after the record proved to have it.
 * @throws {StoreError} LOG_CORRUPT when it has another
 */
export function leafHashOfRow(row: Uint8Array, seq: number): Uint8Array {
  checkedInput(row, seq);
  return row.subarray(0, HASH_BYTES);
}

/**
 * Returns the event of a row as `parseEventRow` does, with its record: a part of `row`.
 * @throws {StoreError} LOG_CORRUPT, as `parseEventRow`
 */
export function parseEntryRow(row: Uint8Array, seq: number): LogEntry {
  return { event: parseEventRow(row, seq), record: row.subarray(HASH_BYTES + 1) };
}

/** Returns the input of the leaf hash, a part of `row`, which proved to have that hash. */
function checkedInput(row: Uint8Array, seq: number): Uint8Array {
  if (row.length < HASH_BYTES + 2) throw corruptRow(seq, 'the row is cut short');
  // A row of LevelDB is a Buffer, whose `subarray` takes three times as long.
  const input = new Uint8Array(row.buffer, row.byteOffset + HASH_BYTES, row.length - HASH_BYTES);
  if (input[0] !== LEAF_PREFIX) throw corruptRow(seq, 'the row is not a record');
  if (!equalBytes(sha256(input), row)) throw corruptRow(seq, 'the record does not match its leaf hash');
  return input;
}

function corruptRow(seq: number, why: string): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} of the log is damaged: ${why}`, { data: { seq } });
}

function equalBytes(hash: Uint8Array, row: Uint8Array): boolean {
  for (let at = 0; at < HASH_BYTES; at++) if (hash[at] !== row[at]) return false;
  return true;
}

/** Version of the layout of a position's row. */
const POSITION_FORMAT = 1;

const packr = new Packr({ useRecords: false });

/** Returns the row of a consumer's position: a MessagePack array of format, seq and time. */
export function formatPosition({ seq, time }: ConsumerPosition): Uint8Array {
  return new Uint8Array(packr.pack([POSITION_FORMAT, seq, time]));
}

/**
 * Returns the position of a row.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when a newer version wrote it, LOG_CORRUPT when it is no position
 */
export function parsePosition(row: Uint8Array): ConsumerPosition {
  const fields = new FieldReader(row, 0, 'the position of a consumer');
  const format = fields.integer('format');
  if (format !== POSITION_FORMAT) {
    throw new StoreError(
      'STORE_FORMAT_UNSUPPORTED',
      `the position of a consumer has format ${format}; this version reads format ${POSITION_FORMAT}`,
      { data: { format } },
    );
  }
  const position = { seq: fields.integer('seq'), time: fields.integer('time') };
  fields.end();
  return position;
}
