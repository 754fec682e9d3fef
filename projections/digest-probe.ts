import { HASH_BYTES } from '../src/model/digest.js';

export const SHA256 = 'sha256:';
/** Hex digits of 32 bits. */
const KEY_DIGITS = 8;
/** Characters of a digest. */
export const DIGEST_LENGTH = SHA256.length + 2 * HASH_BYTES;
/** What a sign is worth that is no hex digit: a bit that no digit has. */
const NO_DIGIT = 0x10;
const CODES = 128;
const VALUE_OF_CODE = new Uint8Array(CODES).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) VALUE_OF_CODE[value.toString(16).charCodeAt(0)] = value;

/** A digest, or its first digits, as bytes: what is looked for among others. It is read again and again, so that a look makes nothing. */
export class DigestProbe {
  /** The digits that were read, and zeros. */
  readonly bytes = new Uint8Array(HASH_BYTES);
  /** The same in the byte order of the machine: good for whether two are equal, and quick. */
  readonly words = new Uint32Array(this.bytes.buffer);
  #digits = 0;

  /** How many hex digits were read. */
  get digits(): number {
    return this.#digits;
  }

  /** Reads a whole digest; returns whether `text` is one. */
  readDigest(text: string): boolean {
    return text.length === DIGEST_LENGTH && text.startsWith(SHA256) && this.#read(text, SHA256.length);
  }

  /** Reads the first digits of a digest, 1 to all of them, with `sha256:` before them or without; returns whether `text` is that. */
  readPrefix(text: string): boolean {
    return this.#read(text, text.startsWith(SHA256) ? SHA256.length : 0);
  }

  #read(text: string, start: number): boolean {
    const digits = text.length - start;
    if (digits < 1 || digits > 2 * HASH_BYTES) return false;
    const { bytes } = this;
    const whole = digits >>> 1;
    // Every value, to see whether each was one of a digit; and every code, since the table knows those of ASCII only.
    let values = 0;
    let codes = 0;
    for (let at = 0; at < whole; at++) {
      const highCode = text.charCodeAt(start + 2 * at);
      const lowCode = text.charCodeAt(start + 2 * at + 1);
      const high = VALUE_OF_CODE[highCode % CODES] as number;
      const low = VALUE_OF_CODE[lowCode % CODES] as number;
      bytes[at] = (high << 4) | low;
      values |= high | low;
      codes |= highCode | lowCode;
    }
    if (whole < HASH_BYTES) bytes.fill(0, whole);
    if (digits % 2 === 1) {
      const code = text.charCodeAt(text.length - 1);
      const high = VALUE_OF_CODE[code % CODES] as number;
      bytes[whole] = high << 4;
      values |= high;
      codes |= code;
    }
    this.#digits = digits;
    return values < NO_DIGIT && codes < CODES;
  }
}

/** Returns the first 32 bits of the digest that `text` is; any 32 bits when it is none. */
export function keyOfText(text: string): number {
  let key = 0;
  for (let at = SHA256.length; at < SHA256.length + KEY_DIGITS; at++) {
    key = (key << 4) | ((VALUE_OF_CODE[text.charCodeAt(at) % CODES] as number) & 0xf);
  }
  return key >>> 0;
}
