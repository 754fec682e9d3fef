import { type Descriptor, type Digest, digestFromHash, HASH_BYTES, hashFromDigest } from './digest.js';
import { StoreError } from '../errors.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes UTF-8 completely; undefined when it is invalid. */
export function decodeStrictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // Only invalid UTF-8 throws.
    return undefined;
  }
}

/** Cached digests: about half a MiB. A power of two. */
const DIGEST_SLOTS = 4_096;

const hashes = new Uint8Array(DIGEST_SLOTS * HASH_BYTES);
const digests: (Digest | undefined)[] = new Array<undefined>(DIGEST_SLOTS).fill(undefined);

/**
 * Interns the digest of the 32 bytes from `start` on, which must exist. Events name what earlier
 * events named, and a Map finds a string it has seen at a third of the cost of a new one, which
 * must be made, hashed and compared.
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

/** Cached texts. A power of two. */
const TEXT_SLOTS = 1_024;
/** Maximum cached text: names of systems, actors, media types, most references. */
const MAX_LENGTH = 64;

const texts: string[] = new Array<string>(TEXT_SLOTS).fill('');

/**
 * Interns the UTF-8 text in `bytes` from `start` to before `end`, which must exist; undefined if
 * invalid. For short recent texts, comparing costs a third of making a new string.
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

/** Whether the bytes are ASCII `text`; any other text never matches, and is decoded again. */
function isTextAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x7f || text.charCodeAt(at - start) !== byte) return false;
  }
  return true;
}

/** Encodes an optional digest in a record: 32 bytes or nil. */
export function packOptionalDigest(digest: Digest | undefined): Uint8Array | null {
  return digest === undefined ? null : hashFromDigest(digest);
}

/** Encodes a descriptor in a record: digest, size, media type. */
export function packDescriptor(descriptor: Descriptor): unknown[] {
  return [hashFromDigest(descriptor.digest), descriptor.size, descriptor.mediaType];
}

/** Encodes an optional descriptor in a record: an array or nil. */
export function packOptionalDescriptor(descriptor: Descriptor | undefined): unknown[] | null {
  return descriptor === undefined ? null : packDescriptor(descriptor);
}

/** Encodes texts by key in a record: pairs of key and text, in the order of the keys. */
export function packTexts(texts: Readonly<Record<string, string>>): unknown[] {
  // One order, as the same fact has the same bytes.
  return Object.keys(texts)
    .sort()
    .map((key) => [key, texts[key]]);
}

/** Encodes optional texts in a record: pairs or nil. */
export function packOptionalTexts(texts: Readonly<Record<string, string>> | undefined): unknown[] | null {
  return texts === undefined ? null : packTexts(texts);
}

/** First bytes of the MessagePack types in records (github.com/msgpack/msgpack, spec.md). */
const NIL = 0xc0;
const BIN_8 = 0xc4;
const BIN_32 = 0xc6;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const UINT_32 = 0xce;
const STR_8 = 0xd9;
const STR_32 = 0xdb;
const PAIR = 0x92;
const ARRAY_16 = 0xdc;
const ARRAY_32 = 0xdd;
const MAX_UINT_32 = 0xffff_ffff;

const float = new DataView(new ArrayBuffer(8));

/**
 * Reads a MessagePack array value by value, as the expected types. Methods throw LOG_CORRUPT,
 * naming the field, for another type or truncated input. Supporting only the types in records takes
 * a third of the time of unpacking and checking arbitrary values.
 */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;
  /** Declared values of the current array, and those read. */
  #length: number;
  #taken = 0;

  /**
   * Opens the array that `bytes` is; `what` names the whole in errors.
   * @throws {StoreError} LOG_CORRUPT when there is no array
   */
  constructor(bytes: Uint8Array, what = 'a record') {
    this.#bytes = bytes;
    this.#what = what;
    this.#length = this.#arrayLength();
    if (this.#length < 0) throw new StoreError('LOG_CORRUPT', `${what} is not a MessagePack array`);
  }

  /** Reads an integer, 0 to 2^53 - 1. */
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

  /** Whether the current array has another value. */
  get hasMore(): boolean {
    return this.#taken < this.#length;
  }

  /** Whether the next value is an array of two. */
  get isAtPair(): boolean {
    return this.#bytes[this.#at] === PAIR;
  }

  /** Reads an array of two integers, each 0 to 2^53 - 1. */
  pair(field: string): [number, number] {
    return this.#inArray(field, () => [this.integer(field), this.integer(field)]);
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

  /** Reads binary, as a view. */
  bytes(field: string): Uint8Array {
    this.#taken++;
    const tag = this.#bytes[this.#at++] as number;
    const length = tag >= BIN_8 && tag <= BIN_32 ? this.#uint(1 << (tag - BIN_8)) : -1;
    if (length < 0) throw this.fault(field, 'is not binary');
    const start = this.#pass(length, field);
    return this.#bytes.subarray(start, this.#at);
  }

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

  /** Reads an array of arrays, each by `readItem`. */
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
    return this.nested(field, () => readDescriptor(this));
  }

  /** Reads an array, of as many values as `read` takes. */
  nested<Value>(field: string, read: () => Value): Value {
    return this.#inArray(field, read);
  }

  optionalDescriptor(field: string): Descriptor | undefined {
    return this.#absent() ? undefined : this.descriptor(field);
  }

  /** Reads texts by key. */
  optionalTexts(field: string): Readonly<Record<string, string>> | undefined {
    const pairs = this.optionalList(field, (pair): [string, string] => [pair.text('key'), pair.text('text')]);
    return pairs === undefined ? undefined : Object.fromEntries(pairs);
  }

  /** Rejects unread values and trailing bytes. */
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

  /** Reads a nested array to its end. */
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

  /** Reads an array header, and returns its length; -1 if there is none. */
  #arrayLength(): number {
    const tag = this.#bytes[this.#at++] as number;
    if (tag >= 0x90 && tag <= 0x9f) return tag & 0x0f;
    return tag === ARRAY_16 || tag === ARRAY_32 ? this.#uint(tag === ARRAY_16 ? 2 : 4) : -1;
  }

  /** Skips `length` bytes, and returns their offset. */
  #pass(length: number, field: string): number {
    const start = this.#at;
    this.#at += length;
    if (this.#at <= this.#bytes.length) return start;
    throw this.fault(field, 'is cut short');
  }

  /** Reads a big-endian number of `size` bytes; -1 if truncated. */
  #uint(size: number): number {
    let value = 0;
    for (const end = this.#at + size; this.#at < end; this.#at++)
      value = value * 256 + (this.#bytes[this.#at] ?? Number.NaN);
    return value >= 0 ? value : -1;
  }

  /** Reads an eight-byte number; NaN if truncated. */
  #float(): number {
    const start = this.#at;
    this.#at += 8;
    if (this.#at > this.#bytes.length) return Number.NaN;
    for (let at = 0; at < 8; at++) float.setUint8(at, this.#bytes[start + at] as number);
    return float.getFloat64(0);
  }
}

/** Reads a descriptor from the current array. @throws {StoreError} LOG_CORRUPT */
export function readDescriptor(fields: FieldReader): Descriptor {
  return { digest: fields.digest('digest'), size: fields.integer('size'), mediaType: fields.text('mediaType') };
}
