import { type Digest, digestFromHash, HASH_BYTES } from '../model/digest.js';

/** Digests that are remembered: about half a MiB. A power of two. */
const SLOTS = 4_096;

const hashes = new Uint8Array(SLOTS * HASH_BYTES);
const digests: (Digest | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);

/**
 * Returns the digest that names the 32 bytes of `bytes` from `start` on, which must be there: the same string as the last time when it
 * was met lately. Events name what events before them named, and a string that a Map has seen is found in it at a
 * third of the cost of a new one: it was made, hashed and compared before.
 */
export function internedDigest(bytes: Uint8Array, start: number): Digest {
  const slot = ((bytes[start] as number) | ((bytes[start + 1] as number) << 8)) & (SLOTS - 1);
  const known = digests[slot];
  if (known !== undefined && isHashAt(slot * HASH_BYTES, bytes, start)) return known;
  const digest = digestFromHash(bytes, start);
  digests[slot] = digest;
  for (let at = 0; at < HASH_BYTES; at++) hashes[slot * HASH_BYTES + at] = bytes[start + at] as number;
  return digest;
}

function isHashAt(place: number, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < HASH_BYTES; at++) if (hashes[place + at] !== bytes[start + at]) return false;
  return true;
}
