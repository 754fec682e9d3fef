import { type Sha256, sha256 } from '../model/digest.js';

/** What RFC 6962, section 2.1 puts before the bytes of a leaf, so that no leaf can pass for a node. */
export const LEAF_PREFIX = 0x00;

/** Returns `record` as the input of its leaf hash: the leaf prefix, then the bytes. */
export function leafInput(record: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + record.length);
  input[0] = LEAF_PREFIX;
  input.set(record, 1);
  return input;
}

/** Returns the RFC 6962 leaf hash of `record`, 32 bytes. */
export function leafHash(record: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  return hash(leafInput(record));
}
