import { type Digest, digestFromHash, HASH_BYTES, hashFromDigest } from './digest.js';
import { StoreError } from '../errors.js';
import type { Descriptor } from './events.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns the text whose UTF-8 `bytes` are, all of them; undefined when they are no UTF-8. */
export function decodeStrictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // Only what is no UTF-8 is thrown for.
    return undefined;
  }
}

/** Digests that are remembered: about half a MiB. A power of two. */
const DIGEST_SLOTS = 4_096;

const hashes = new Uint8Array(DIGEST_SLOTS * HASH_BYTES);
const digests: (Digest | undefined)[] = new Array<undefined>(DIGEST_SLOTS).fill(undefined);

/**
 * Returns the digest that names the 32 bytes of `bytes` from `start` on, which must be there: the same string as the last time when it
 * was met lately. Events name what events before them named, and a string that a Map has seen is found in it at a
 * third of the cost of a new one: it was made, hashed and compared before.
 */
function internedDigest(bytes: Uint8Array, start: number): Digest {
  const slot = ((bytes[start] as number) | ((bytes[start + 1] as number) << 8)) & (DIGEST_SLOTS - 1);
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

/** Texts that are remembered. A power of two. */
const TEXT_SLOTS = 1_024;
/** Length of the texts that are remembered: names of systems, actors, media types, most references. */
const MAX_LENGTH = 64;

const texts: string[] = new Array<string>(TEXT_SLOTS).fill('');

/**
 * Returns the text whose UTF-8 stands in `bytes` from `start` to before `end`, which must be there; undefined when it is none. A short
 * one that was met lately is the same string as the last time: comparing it costs a third of making another.
 */
function internedText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > MAX_LENGTH) return decodeStrictUtf8(bytes.subarray(start, end));
  let mixed = end - start;
  for (let at = start; at < end; at++) mixed = (Math.imul(mixed, 31) + (bytes[at] as number)) | 0;
  const slot = (mixed ^ (mixed >>> 15)) & (TEXT_SLOTS - 1);
  const known = texts[slot] as string;
  if (isTextAt(known, bytes, start, end)) return known;
  const text = decodeStrictUtf8(bytes.subarray(start, end));
  if (text !== undefined) texts[slot] = text;
  return text;
}

/** Whether the bytes are those of `text`, each a letter by itself: one that is none of ASCII is never found, and is decoded again. */
function isTextAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x7f || text.charCodeAt(at - start) !== byte) return false;
  }
  return true;
}

/** Returns a digest as a record holds it: its 32 bytes. */
export function packDigest(digest: Digest): Uint8Array {
  return hashFromDigest(digest);
}

/** Returns an optional digest as a record holds it: its 32 bytes or nil. */
export function packOptionalDigest(digest: Digest | undefined): Uint8Array | null {
  return digest === undefined ? null : packDigest(digest);
}

/** Returns a descriptor as a record holds it: digest, size, media type. */
export function packDescriptor(descriptor: Descriptor): unknown[] {
  return [packDigest(descriptor.digest), descriptor.size, descriptor.mediaType];
}

/** First bytes of MessagePack values, as far as a record has them (github.com/msgpack/msgpack, spec.md). */
const NIL = 0xc0;
const BIN_8 = 0xc4;
const BIN_32 = 0xc6;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const UINT_32 = 0xce;
const STR_8 = 0xd9;
const STR_32 = 0xdb;
const ARRAY_16 = 0xdc;
const ARRAY_32 = 0xdd;
/** The greatest number that is written as an integer. */
const MAX_UINT_32 = 0xffff_ffff;

const float = new DataView(new ArrayBuffer(8));

/**
 * Takes the values of a MessagePack array from its bytes, one after another, each as the type it must have. Every method throws
 * LOG_CORRUPT that names the field when the value is another or is cut short. It reads the types that a record is made of, and nothing else:
 * that takes a third of the time of unpacking any value and looking at what came.
 */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at: number;
  /** Values that the array at hand says that it has, and how many of them were taken. */
  #length: number;
  #taken = 0;

  /**
   * Reads the array that begins at `start`; `what` names the whole in errors.
   * @throws {StoreError} LOG_CORRUPT when no array begins there
   */
  constructor(bytes: Uint8Array, start = 0, what = 'a record') {
    this.#bytes = bytes;
    this.#at = start;
    this.#what = what;
    this.#length = this.#arrayLength();
    if (this.#length < 0) throw new StoreError('LOG_CORRUPT', `${what} is not a MessagePack array`);
  }

  /** A whole number from 0 to 2^53 - 1. */
  integer(field: string): number {
    this.#taken++;
    const tag = this.#bytes[this.#at++] as number;
    if (tag < 0x80) return tag;
    if (tag >= UINT_8 && tag <= UINT_32) {
      const value = this.#uint(1 << (tag - UINT_8));
      if (value >= 0) return value;
    } else if (tag === FLOAT_64) {
      const value = this.#float();
      if (value > MAX_UINT_32 && Number.isSafeInteger(value)) return value;
    }
    throw this.fault(field, 'is not a whole number');
  }

  text(field: string): string {
    this.#taken++;
    const tag = this.#bytes[this.#at++] as number;
    let length = -1;
    if (tag >= 0xa0 && tag <= 0xbf) length = tag & 0x1f;
    else if (tag >= STR_8 && tag <= STR_32) length = this.#uint(1 << (tag - STR_8));
    if (length < 0) throw this.fault(field, 'is not a string');
    const start = this.#pass(length, field);
    const text = internedText(this.#bytes, start, this.#at);
    if (text !== undefined) return text;
    throw this.fault(field, 'is not UTF-8');
  }

  optionalText(field: string): string | undefined {
    return this.#absent() ? undefined : this.text(field);
  }

  /** Binary; it stands in the bytes that were given. */
  bytes(field: string): Uint8Array {
    this.#taken++;
    const tag = this.#bytes[this.#at++] as number;
    const length = tag >= BIN_8 && tag <= BIN_32 ? this.#uint(1 << (tag - BIN_8)) : -1;
    if (length < 0) throw this.fault(field, 'is not binary');
    const start = this.#pass(length, field);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A digest, branded as the caller's field has it. */
  digest<Id extends Digest>(field: string): Id {
    const [bytes, at] = [this.#bytes, this.#at];
    const end = at + 2 + HASH_BYTES;
    if (bytes[at] === BIN_8 && bytes[at + 1] === HASH_BYTES && end <= bytes.length) {
      this.#taken++;
      this.#at = end;
      return internedDigest(bytes, at + 2) as Id;
    }
    throw this.fault(field, `is ${this.bytes(field).length} bytes and no hash`);
  }

  optionalDigest<Id extends Digest>(field: string): Id | undefined {
    return this.#absent() ? undefined : this.digest<Id>(field);
  }

  /** The items of an array, each an array that `readItem` reads to its end. */
  list<Item>(field: string, readItem: (item: FieldReader) => Item): Item[] {
    return this.#inArray(field, (length) => {
      const items: Item[] = [];
      while (items.length < length) items.push(this.#inArray(field, () => readItem(this)));
      return items;
    });
  }

  optionalList<Item>(field: string, readItem: (item: FieldReader) => Item): Item[] | undefined {
    return this.#absent() ? undefined : this.list(field, readItem);
  }

  descriptor(field: string): Descriptor {
    return this.#inArray(field, () => readDescriptor(this));
  }

  optionalDescriptor(field: string): Descriptor | undefined {
    return this.#absent() ? undefined : this.descriptor(field);
  }

  /** Refuses values that nothing read, and bytes behind the last. */
  end(): void {
    this.#endOfArray();
    const rest = this.#bytes.length - this.#at;
    if (rest !== 0) throw this.fault('length', `leaves ${rest} bytes behind the last value`);
  }

  fault(field: string, why: string): StoreError {
    return new StoreError('LOG_CORRUPT', `${this.#what} is damaged: its field ${field} ${why}`, { data: { field } });
  }

  #absent(): boolean {
    if (this.#bytes[this.#at] !== NIL) return false;
    this.#at++;
    this.#taken++;
    return true;
  }

  /** Reads an array within the one at hand to its end. */
  #inArray<Value>(field: string, read: (length: number) => Value): Value {
    const [length, taken] = [this.#length, this.#taken];
    this.#length = this.#arrayLength();
    this.#taken = 0;
    if (this.#length < 0) throw this.fault(field, 'is not an array');
    const value = read(this.#length);
    this.#endOfArray();
    this.#length = length;
    this.#taken = taken + 1;
    return value;
  }

  #endOfArray(): void {
    if (this.#taken !== this.#length) throw this.fault('length', `is ${this.#length}, expected ${this.#taken}`);
  }

  /** Passes the head of an array and returns how many values it has; -1 when there is none. */
  #arrayLength(): number {
    const tag = this.#bytes[this.#at++] as number;
    if (tag >= 0x90 && tag <= 0x9f) return tag & 0x0f;
    return tag === ARRAY_16 || tag === ARRAY_32 ? this.#uint(tag === ARRAY_16 ? 2 : 4) : -1;
  }

  /** Passes so many bytes and returns where they begin. */
  #pass(length: number, field: string): number {
    const start = this.#at;
    this.#at += length;
    if (this.#at <= this.#bytes.length) return start;
    throw this.fault(field, 'is cut short');
  }

  /** A number of so many bytes, the high one first; -1 when they are not all there. */
  #uint(size: number): number {
    let value = 0;
    for (const end = this.#at + size; this.#at < end; this.#at++)
      value = value * 256 + (this.#bytes[this.#at] ?? Number.NaN);
    return value >= 0 ? value : -1;
  }

  /** The number that eight bytes stand for; NaN when they are not all there. */
  #float(): number {
    const start = this.#at;
    this.#at += 8;
    if (this.#at > this.#bytes.length) return Number.NaN;
    for (let at = 0; at < 8; at++) float.setUint8(at, this.#bytes[start + at] as number);
    return float.getFloat64(0);
  }
}

/** Returns the descriptor whose values stand in the array at hand. @throws {StoreError} LOG_CORRUPT */
export function readDescriptor(fields: FieldReader): Descriptor {
  return { digest: fields.digest('digest'), size: fields.integer('size'), mediaType: fields.text('mediaType') };
}
