import { randomBytes } from 'node:crypto';

/** Groups of subjects whose pairs are summed apart: what differs in one is then looked for among a few thousandths of all. */
const GROUPS = 4_096;
/** Bytes of a pair: the key of an index row, prefix and seq. */
const WORDS_PER_PAIR = 5;

/**
 * A set of pairs of a subject and an event, as sums of their hashes: some kilobytes however many there are, and in whatever order they
 * come. Two sets that differ have the same sums with a chance of one in 2^64; the hash is another in each process, so nobody
 * can prepare such sets.
 */
export class PairSums {
  readonly #low = new Uint32Array(GROUPS);
  readonly #high = new Uint32Array(GROUPS);
  readonly #counts = new Float64Array(GROUPS);

  /** Adds the pair with this key. */
  add(key: Uint8Array): void {
    const group = groupOfKey(key);
    this.#low[group] = (this.#low[group] as number) + hashed(key, LOW_SALT);
    this.#high[group] = (this.#high[group] as number) + hashed(key, HIGH_SALT);
    this.#counts[group] = (this.#counts[group] as number) + 1;
  }

  /** Returns the groups in which `other` has other pairs, each with how many pairs there are in both. */
  differing(other: PairSums): { readonly group: number; readonly pairs: number }[] {
    const differing: { group: number; pairs: number }[] = [];
    for (let group = 0; group < GROUPS; group++) {
      const isSame =
        this.#low[group] === other.#low[group] &&
        this.#high[group] === other.#high[group] &&
        this.#counts[group] === other.#counts[group];
      if (!isSame) differing.push({ group, pairs: (this.#counts[group] ?? 0) + (other.#counts[group] ?? 0) });
    }
    return differing;
  }
}

/** Returns the group of the pair with this key: that of its subject. */
export function groupOfKey(key: Uint8Array): number {
  // After the kinds of row and of subject, these are bytes of a hash.
  return (((key[2] ?? 0) << 8) | (key[3] ?? 0)) % GROUPS;
}

const LOW_SALT = newSalt();
const HIGH_SALT = newSalt();

function newSalt(): Uint32Array {
  const bytes = new Uint8Array(randomBytes(4 * (WORDS_PER_PAIR + 1)));
  return new Uint32Array(bytes.buffer);
}

function hashed(key: Uint8Array, salt: Uint32Array): number {
  let hash = salt[WORDS_PER_PAIR] as number;
  for (let at = 0; at < key.length; at += 4) {
    const word = ((key[at] ?? 0) << 24) | ((key[at + 1] ?? 0) << 16) | ((key[at + 2] ?? 0) << 8) | (key[at + 3] ?? 0);
    hash = Math.imul(hash ^ word ^ (salt[(at >> 2) % WORDS_PER_PAIR] as number), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    hash ^= hash >>> 13;
  }
  return hash >>> 0;
}
