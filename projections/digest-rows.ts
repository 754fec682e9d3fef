import { type Digest, digestFromHash, HASH_BYTES, parseDigest } from '../src/model/digest.js';
import { DIGEST_LENGTH, DigestProbe, SHA256 } from './digest-probe.js';
import { grown, roomFor } from './grown.js';

const HASH_WORDS = HASH_BYTES / Uint32Array.BYTES_PER_ELEMENT;

const HEX = '0123456789abcdef';
/** The codes of the two digits of each byte. */
const HIGH_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte >>> 4));
const LOW_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte & 0xf));

/**
 * Digests in the order in which they came, numbered from 0 on, 32 bytes each. A row never changes: so what holds a number of
 * rows has a snapshot of them. A digest becomes a string when it is first asked for (0.3 microseconds, more than all else of a
 * look-up), and then stays it: 96 bytes more, for those that somebody asks for.
 */
export class DigestRows {
  #hashes: Uint8Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;
  readonly #strings: (Digest | undefined)[];
  #length: number;
  readonly #probe = new DigestProbe();

  /** Over the hashes of the first digests, which are then its own. */
  constructor(hashes: Uint8Array<ArrayBuffer> = new Uint8Array(0)) {
    this.#hashes = hashes;
    this.#words = new Uint32Array(hashes.buffer);
    this.#length = hashes.length / HASH_BYTES;
    this.#strings = new Array<Digest | undefined>(this.#length).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  /** The 32 bytes of every digest, one after another. They never change, also when more come. */
  get hashes(): Uint8Array<ArrayBuffer> {
    return this.#hashes.subarray(0, this.#length * HASH_BYTES);
  }

  /** Adds a digest and returns its row. @throws {StoreError} DIGEST_INVALID when `digest` is none */
  push(digest: Digest): number {
    if (!this.#probe.readDigest(digest)) parseDigest(digest);
    const row = this.#length++;
    const start = row * HASH_BYTES;
    if (start === this.#hashes.length) {
      this.#hashes = grown(this.#hashes, roomFor(row) * HASH_BYTES);
      this.#words = new Uint32Array(this.#hashes.buffer);
    }
    this.#hashes.set(this.#probe.bytes, start);
    this.#strings.push(undefined);
    return row;
  }

  /** The digest in a row, the same string each time. */
  digest(row: number): Digest {
    const known = this.#strings[row];
    if (known !== undefined) return known;
    const digest = digestFromHash(this.#hashes, row * HASH_BYTES);
    this.#strings[row] = digest;
    return digest;
  }

  /** Whether the digest in a row is `text`. Its bytes are compared: its string, when it has one, is further away in memory. */
  isText(row: number, text: string): boolean {
    if (text.length !== DIGEST_LENGTH || !text.startsWith(SHA256)) return false;
    const start = row * HASH_BYTES;
    for (let at = 0; at < HASH_BYTES; at++) {
      const byte = this.#hashes[start + at] as number;
      const digits = SHA256.length + 2 * at;
      if (text.charCodeAt(digits) !== HIGH_DIGIT[byte] || text.charCodeAt(digits + 1) !== LOW_DIGIT[byte]) return false;
    }
    return true;
  }

  /** The 32 bytes of the digest in a row: a view, not a copy. */
  hash(row: number): Uint8Array {
    return this.#hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES);
  }

  /** The first 32 bits of the digest in a row. */
  key(row: number): number {
    return keyAt(this.#hashes, row * HASH_BYTES);
  }

  /** Whether the digest in a row is the one that was read. */
  equals(row: number, { words }: DigestProbe): boolean {
    const start = row * HASH_WORDS;
    for (let at = 0; at < HASH_WORDS; at++) if (this.#words[start + at] !== words[at]) return false;
    return true;
  }

  /** Whether the digest in a row begins with the digits that were read. */
  startsWith(row: number, { bytes, digits }: DigestProbe): boolean {
    const start = row * HASH_BYTES;
    const whole = digits >>> 1;
    for (let at = 0; at < whole; at++) if (this.#hashes[start + at] !== bytes[at]) return false;
    return digits % 2 === 0 || (this.#hashes[start + whole] as number) >>> 4 === (bytes[whole] as number) >>> 4;
  }

  /** Returns a negative number, 0 or a positive one, as the digest in a row is before the hash `bytes`, it, or after it. */
  compareTo(row: number, bytes: Uint8Array): number {
    return compareHashes(this.#hashes, row * HASH_BYTES, bytes, 0);
  }

  /** Compares the digests in two rows, as `compareTo`. */
  compare(one: number, other: number): number {
    return compareHashes(this.#hashes, one * HASH_BYTES, this.#hashes, other * HASH_BYTES);
  }
}

/** Returns the first 32 bits of the hash that begins at `start`. */
export function keyAt(hashes: Uint8Array, start: number): number {
  const high = ((hashes[start] as number) << 24) | ((hashes[start + 1] as number) << 16);
  return (high | ((hashes[start + 2] as number) << 8) | (hashes[start + 3] as number)) >>> 0;
}

function compareHashes(one: Uint8Array, oneStart: number, other: Uint8Array, otherStart: number): number {
  for (let at = 0; at < HASH_BYTES; at++) {
    const difference = (one[oneStart + at] as number) - (other[otherStart + at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
