import { type Digest, HASH_BYTES } from '../src/model/digest.js';

/** Bytes after which a writer wants to be emptied: worth a write to a file, and at most some milliseconds of work. */
const FULL_BYTES = 16 * 1024;
const HASH_HEX_START = 'sha256:'.length;

const utf8 = new TextEncoder();

/**
 * Writes values of views in few bytes. A digest and a word stand there once: where they come again, a number says which.
 * One writer writes all views of a snapshot, so that an id costs its 32 bytes once. SnapshotReader reads the values again, in
 * the same order.
 */
export class SnapshotWriter {
  #bytes = new Uint8Array(2 * FULL_BYTES);
  #length = 0;
  readonly #digests = new Map<Digest, number>();
  readonly #words = new Map<string, number>();

  /** Whether there is enough to be taken. It may hold more: nothing is lost. */
  get isFull(): boolean {
    return this.#length >= FULL_BYTES;
  }

  /** Returns what was written since it was taken last; the caller owns it. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Writes a whole number, 0 to 2^53 - 1: seven bits a byte, the lowest first. */
  uint(value: number): void {
    this.#reserve(8);
    let left = value;
    while (left >= 0x80) {
      this.#bytes[this.#length++] = (left % 0x80) | 0x80;
      left = Math.floor(left / 0x80);
    }
    this.#bytes[this.#length++] = left;
  }

  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(utf8.encode(value));
  }

  /** Writes a text that is likely to come often. */
  word(value: string): void {
    const known = this.#words.get(value);
    if (known !== undefined) {
      this.uint(known);
      return;
    }
    this.#words.set(value, this.#words.size + 1);
    this.uint(0);
    this.text(value);
  }

  digest(value: Digest): void {
    this.#digestAfter(0, value);
  }

  /** Writes a digest, or that there is none. */
  optionalDigest(value: Digest | undefined): void {
    if (value === undefined) this.uint(0);
    else this.#digestAfter(1, value);
  }

  /** Writes the number of a digest and `shift`, or `shift` and the 32 bytes of one that is new. */
  #digestAfter(shift: number, value: Digest): void {
    const known = this.#digests.get(value);
    if (known !== undefined) {
      this.uint(shift + known);
      return;
    }
    this.#digests.set(value, this.#digests.size + 1);
    this.uint(shift);
    this.#reserve(HASH_BYTES);
    for (let at = HASH_HEX_START; at < value.length; at += 2) {
      this.#bytes[this.#length++] = (digitValue(value.charCodeAt(at)) << 4) | digitValue(value.charCodeAt(at + 1));
    }
  }

  /** Writes a value by `write`, or that there is none. */
  optional<Value>(value: Value | undefined, write: (value: Value) => void): void {
    this.uint(value === undefined ? 0 : 1);
    if (value !== undefined) write(value);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * needed);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

function digitValue(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
