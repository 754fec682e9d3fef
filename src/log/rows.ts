import { Packr } from 'msgpackr';
import { type Digest, HASH_BYTES, hashFromDigest, putHash } from '../model/digest.js';
import { StoreError } from '../errors.js';
import type { ConsumerPosition } from './log.js';
import { FieldReader } from '../model/record-fields.js';

const SLAB_BYTES = 16 * 1024;

let slab = new ArrayBuffer(0);
let taken = 0;

/**
 * Returns `length` zeroed bytes for a key or row to write, a slice of a larger buffer. The database
 * needs bytes outside the JavaScript heap; allocating them per row costs ten times as much. To keep
 * one for long, copy it: it retains the whole buffer.
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
 * Rows of the database. Keys are a kind byte, then fixed-width fields; numbers are big-endian, so
 * that keys sort in event order.
 */

/** Event key: prefix, seq of the last event of the row (8 bytes). */
export const EVENT_PREFIX = 0x65; // e
/** Content key: prefix, hash (32 bytes). */
export const CONTENT_PREFIX = 0x63; // c

/** Subject key: prefix, kind of subject (1 byte), hash prefix (8), last seq of the row (8). */
export const SUBJECT_PREFIX = 0x73; // s
/** Consumer position key: prefix, name in UTF-8. */
export const POSITION_PREFIX = 0x70; // p
/** Tree key: prefix, level from 1 up (1 byte), index on that level (8). */
export const TREE_PREFIX = 0x74; // t

/** Key of a mark that removed content may still be on disk: prefix, hash (32 bytes), seq (8). */
export const REMOVED_PREFIX = 0x78; // x

/** Bytes of a seq in a key. */
export const SEQ_BYTES = 8;
/** Bytes of an event key. */
export const EVENT_KEY_BYTES = 1 + SEQ_BYTES;
const TWO_POW_32 = 2 ** 32;

/** Returns the key of the row whose last event is `seq`, 1 to 2^53 - 1. */
export function eventKey(seq: number): Uint8Array {
  const key = rowBytes(EVENT_KEY_BYTES);
  key[0] = EVENT_PREFIX;
  putSeq(key, seq);
  return key;
}

/** Returns `prefix` followed by `seq`. */
export function keyAt(prefix: Uint8Array, seq: number): Uint8Array {
  const key = rowBytes(prefix.length + SEQ_BYTES);
  key.set(prefix);
  putSeq(key, seq);
  return key;
}

/** Writes `seq`, 0 to 2^53 - 1, into the last eight bytes of `key`. */
export function putSeq(key: Uint8Array, seq: number): void {
  // A DataView would cost as much as the rest of the key.
  putUint32(key, key.length - SEQ_BYTES, Math.floor(seq / TWO_POW_32));
  putUint32(key, key.length - 4, seq % TWO_POW_32);
}

function putUint32(key: Uint8Array, at: number, value: number): void {
  key[at] = value >>> 24;
  key[at + 1] = value >>> 16;
  key[at + 2] = value >>> 8;
  key[at + 3] = value;
}

/** Returns the key of hash `index` of a tile level, 1 or above. */
export function treeKey(level: number, index: number): Uint8Array {
  return keyAt(Uint8Array.of(TREE_PREFIX, level), index);
}

/** Returns the number at the end of a key: seq of an event or subject row, index of a tree row. */
export function seqOfKey(key: Uint8Array): number {
  // A DataView would cost as much as the rest.
  return uint32At(key, key.length - SEQ_BYTES) * TWO_POW_32 + uint32At(key, key.length - SEQ_BYTES / 2);
}

function uint32At(key: Uint8Array, at: number): number {
  const [first, second] = [key[at] as number, key[at + 1] as number];
  const [third, fourth] = [key[at + 2] as number, key[at + 3] as number];
  return ((first << 24) | (second << 16) | (third << 8) | fourth) >>> 0;
}

/** Returns the key of a consumer's position. */
export function positionKey(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  const key = new Uint8Array(1 + text.length);
  key[0] = POSITION_PREFIX;
  key.set(text, 1);
  return key;
}

/** Inverse of `positionKey`. */
export function nameOfPositionKey(key: Uint8Array): string {
  return new TextDecoder().decode(key.subarray(1));
}

/** Returns the key of the content of `digest`. */
export function contentKey(digest: Digest): Uint8Array {
  const key = rowBytes(1 + HASH_BYTES);
  key[0] = CONTENT_PREFIX;
  putHash(digest, key.subarray(1));
  return key;
}

/** Returns the key of a removal mark; `seq` is the first of the removing batch. */
export function removedKey(digest: Digest, seq: number): Uint8Array {
  return keyAt(Uint8Array.from([REMOVED_PREFIX, ...hashFromDigest(digest)]), seq);
}

/** Returns the key of the content row of a removal mark. */
export function contentKeyOfRemoved(key: Uint8Array): Uint8Array {
  return Uint8Array.from([CONTENT_PREFIX, ...key.subarray(1, 1 + HASH_BYTES)]);
}

const POSITION_FORMAT = 1;

const packr = new Packr({ useRecords: false });

/** Encodes a consumer position: a MessagePack array of format, seq, time, and the filter if it has one. */
export function formatPosition({ seq, time, filter }: ConsumerPosition): Uint8Array {
  return new Uint8Array(packr.pack([POSITION_FORMAT, seq, time, ...(filter === undefined ? [] : [filter])]));
}

/**
 * Decodes a consumer position.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED for a newer format, LOG_CORRUPT otherwise
 */
export function parsePosition(row: Uint8Array): ConsumerPosition {
  const fields = new FieldReader(row, 'the position of a consumer');
  const format = fields.integer('format');
  if (format !== POSITION_FORMAT) {
    throw new StoreError(
      'STORE_FORMAT_UNSUPPORTED',
      `the position of a consumer has format ${format}; this version reads format ${POSITION_FORMAT}`,
      { data: { format } },
    );
  }
  const position = { seq: fields.integer('seq'), time: fields.integer('time') };
  const filter = fields.hasMore ? { filter: fields.text('filter') } : {};
  fields.end();
  return { ...position, ...filter };
}
