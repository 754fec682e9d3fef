import { HASH_BYTES, type Digest, hashFromDigest } from '../model/digest.js';

/*
 * The rows of the database. One byte says the kind, then the fixed-width key:
 * numbers big-endian, so that the order of keys is the order of events.
 */

/** First byte of an event's key; eight bytes of seq follow. */
export const EVENT_PREFIX = 0x65; // e
/** First byte of a content row's key; the 32 bytes of its hash follow. */
export const CONTENT_PREFIX = 0x63; // c

const SEQ_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** Returns the key of the event at `seq`, 1 to 2^53 - 1. */
export function eventKey(seq: number): Uint8Array {
  const key = new Uint8Array(1 + SEQ_BYTES);
  key[0] = EVENT_PREFIX;
  const view = new DataView(key.buffer);
  view.setUint32(1, Math.floor(seq / TWO_POW_32));
  view.setUint32(5, seq % TWO_POW_32);
  return key;
}

/** Returns the seq of an event's key. */
export function seqOfEventKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint32(1) * TWO_POW_32 + view.getUint32(5);
}

/** Returns the key of the content that `digest` names. */
export function contentKey(digest: Digest): Uint8Array {
  const key = new Uint8Array(1 + HASH_BYTES);
  key[0] = CONTENT_PREFIX;
  key.set(hashFromDigest(digest), 1);
  return key;
}
