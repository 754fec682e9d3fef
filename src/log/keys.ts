import { HASH_BYTES, type Digest, hashFromDigest, putHash } from '../model/digest.js';
import { rowBytes } from './row-bytes.js';

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
