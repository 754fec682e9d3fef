import { type Digest, HASH_BYTES } from '../src/model/digest.js';

/** Bytes after which a writer wants to be emptied: worth a write to a file, and at most some milliseconds of work. */
const FULL_BYTES = 16 * 1024;
const HASH_HEX_START = 'sha256:'.length;

const utf8 = new TextEncoder();

/**
 * Writes values of views in few bytes. A digest and a word are numbers, from 1 on as they come; what they number stands in
 * tables after all views, so that an id costs its 32 bytes once and a view can be read without the others. SnapshotReader
 * reads the values again, in the same order.
 */
export class SnapshotWriter {
  #bytes = new Uint8Array(2 * FULL_BYTES);
  #length = 0;
  #taken = 0;
  readonly #digests = new Map<Digest, number>();
  readonly #words = new Map<string, number>();

  /** Whether there is enough to be taken. It may hold more: nothing is lost. */
  get isFull(): boolean {
    return this.#length >= FULL_BYTES;
  }

  /** Bytes that were written so far, taken or not. */
  get total(): number {
    return this.#taken + this.#length;
  }

  /** Returns what was written since it was taken last; the caller owns it. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#taken += this.#length;
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
    this.raw(value);
  }

  /** Writes bytes as they are, without their count. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(utf8.encode(value));
  }

  /** Writes a text that is likely to come often. */
  word(value: string): void {
    this.uint(numberOf(this.#words, value));
  }

  digest(value: Digest): void {
    this.uint(numberOf(this.#digests, value));
  }

  /** Writes a digest, or that there is none. */
  optionalDigest(value: Digest | undefined): void {
    this.uint(value === undefined ? 0 : numberOf(this.#digests, value));
  }

  /** Writes the tables of what was numbered; yields when the writer is full. */
  *tables(): Generator<void> {
    this.uint(this.#digests.size);
    for (const digest of this.#digests.keys()) {
      this.#hash(digest);
      if (this.isFull) yield;
    }
    this.uint(this.#words.size);
    for (const word of this.#words.keys()) {
      this.text(word);
      if (this.isFull) yield;
    }
  }

  /** Writes a whole number, 0 to 2^53 - 1, in eight bytes, the highest first. */
  fixed(value: number): void {
    this.#reserve(8);
    const view = new DataView(this.#bytes.buffer);
    view.setUint32(this.#length, Math.floor(value / 2 ** 32));
    view.setUint32(this.#length + 4, value % 2 ** 32);
    this.#length += 8;
  }

  #hash(digest: Digest): void {
    this.#reserve(HASH_BYTES);
    for (let at = HASH_HEX_START; at < digest.length; at += 2) {
      this.#bytes[this.#length++] = (digitValue(digest.charCodeAt(at)) << 4) | digitValue(digest.charCodeAt(at + 1));
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

/** The number of a value, a new one when it is the first time that it comes. */
function numberOf<Value>(numbers: Map<Value, number>, value: Value): number {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  numbers.set(value, numbers.size + 1);
  return numbers.size;
}

function digitValue(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
