import { HASH_BYTES, type Sha256, sha256 } from '../../model/digest.js';

/** What RFC 6962, section 2.1 puts before the two hashes of a node, so that no node can pass for a leaf. */
const NODE_PREFIX = 0x01;

/** Used for every node, one after another: a new one for each costs half as much as its hash. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

/** Returns the RFC 6962 hash of the node over `left` and `right`, 32 bytes each. */
export function nodeHash(left: Uint8Array, right: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return hash(nodeInput);
}

/** Returns the root of the tree without leaves: the hash of nothing. */
export function emptyRoot(hash: Sha256 = sha256): Uint8Array {
  return hash(new Uint8Array(0));
}

/** Whether two hashes are the same. */
export function equalHashes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
