import { type Digest, digestFromHash, HASH_BYTES } from '../src/model/digest.js';

/** Thrown for bytes that are no snapshot, or not all of one. A snapshot is disposable: whoever catches this does without. */
export class SnapshotDamage extends Error {
  override readonly name = 'SnapshotDamage';
}

/** What the numbers in a snapshot stand for. A digest becomes a string when it is first asked for, and then stays the same one. */
export class SnapshotTables {
  readonly #hashes: Uint8Array;
  readonly #count: number;
  readonly #digests: (Digest | undefined)[] = [];
  readonly #words: readonly string[];

  /** Over the hashes of all digests, one after another, and the words. */
  constructor(hashes: Uint8Array, words: readonly string[]) {
    this.#hashes = hashes;
    this.#count = hashes.length / HASH_BYTES;
    this.#words = words;
  }

  /** Returns `number` when a digest has it. @throws {SnapshotDamage} when none has */
  checked(number: number): number {
    if (number >= 1 && number <= this.#count) return number;
    throw unknown(number);
  }

  /** The digest that has a number which was checked. */
  digest(number: number): Digest {
    const known = this.#digests[number];
    if (known !== undefined) return known;
    const digest = digestFromHash(this.#hashes, (number - 1) * HASH_BYTES);
    this.#digests[number] = digest;
    return digest;
  }

  /** The word that has `number`. @throws {SnapshotDamage} when none has */
  word(number: number): string {
    const word = this.#words[number - 1];
    if (word === undefined) throw unknown(number);
    return word;
  }
}

function unknown(number: number): SnapshotDamage {
  return new SnapshotDamage(`it names number ${number}, which is not in its tables`);
}

// `ignoreBOM` keeps a byte order mark, which is text here like any other.
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads what a SnapshotWriter wrote. Each digest is one string wherever it stands, so that views read from a snapshot take no
 * more memory than folded ones. Every read throws SnapshotDamage when the bytes end before it or are not its kind.
 */
export class SnapshotReader {
  readonly #bytes: Uint8Array;
  readonly #tables: SnapshotTables;
  #at = 0;

  constructor(bytes: Uint8Array, tables: SnapshotTables) {
    // Of a Buffer, `slice` would be no copy and `subarray` slow.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#tables = tables;
  }

  uint(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new SnapshotDamage('it ends in the middle of a number');
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) break;
      if (unit > 2 ** 48) throw new SnapshotDamage('it has a number that is too large');
    }
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    throw new SnapshotDamage('it has a number that is too large');
  }

  /** Reads how many rows follow, each of which takes a byte at least: so nothing is made for rows that are not there. */
  count(): number {
    const count = this.uint();
    if (count <= this.#bytes.length - this.#at) return count;
    throw new SnapshotDamage(`it ends before ${count} rows`);
  }

  /** Reads bytes; they are the caller's own. */
  bytes(): Uint8Array {
    return this.#next(this.uint()).slice();
  }

  text(): string {
    const bytes = this.#next(this.uint());
    try {
      return utf8Decoder.decode(bytes);
    } catch {
      throw new SnapshotDamage('it has a text that is no UTF-8');
    }
  }

  word(): string {
    return this.#tables.word(this.uint());
  }

  digest<Id extends Digest>(): Id {
    return this.#tables.digest(this.#tables.checked(this.uint())) as Id;
  }

  /** Reads a digest, or undefined where none was written. */
  optionalDigest<Id extends Digest>(): Id | undefined {
    const number = this.uint();
    return number === 0 ? undefined : (this.#tables.digest(this.#tables.checked(number)) as Id);
  }

  /** Reads a value by `read`, or undefined where none was written. */
  optional<Value>(read: () => Value): Value | undefined {
    const is = this.uint();
    if (is > 1) throw new SnapshotDamage('it has neither a value nor none');
    return is === 0 ? undefined : read();
  }

  /** Throws when something is left. */
  end(): void {
    if (this.#at < this.#bytes.length) throw new SnapshotDamage(`${this.#bytes.length - this.#at} bytes are left over`);
  }

  /** Passes over rows of `length` bytes each, and returns them. */
  rows(count: number, length: number): Uint8Array {
    return this.#next(count * length);
  }

  #next(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Passes over `length` bytes, and returns where they begin. */
  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new SnapshotDamage('it ends in the middle of a value');
    this.#at = start + length;
    return start;
  }
}

/** Bytes after which a writer wants to be emptied: worth a write to a file, and at most some milliseconds of work. */
const FULL_BYTES = 16 * 1024;
const HASH_HEX_START = 'sha256:'.length;

const utf8Encoder = new TextEncoder();

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
    this.bytes(utf8Encoder.encode(value));
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

/** Writes how many rows there are, and each by `write`; yields when the writer is full. */
export function* writeRows<Row>(
  out: SnapshotWriter,
  rows: readonly Row[],
  write: (row: Row, index: number) => void,
): Generator<void> {
  out.uint(rows.length);
  for (const [index, row] of rows.entries()) {
    write(row, index);
    if (out.isFull) yield;
  }
}

/** Calls `read` for each row that `writeRows` wrote. */
export function readRows(input: SnapshotReader, read: () => void): void {
  for (let left = input.count(); left > 0; left--) read();
}

/** Writes a few values at once, each by `write`. */
export function writeList<Value>(out: SnapshotWriter, values: readonly Value[], write: (value: Value) => void): void {
  out.uint(values.length);
  for (const value of values) write(value);
}

/** Returns the values that `writeList` wrote. */
export function readList<Value>(input: SnapshotReader, read: () => Value): Value[] {
  const values: Value[] = [];
  readRows(input, () => void values.push(read()));
  return values;
}

/*
 * Columns of numbers stand in a snapshot as they are in the memory of a machine that has the lowest byte first, as nearly all
 * have: so that they are read by one copy, and not by a step for each number.
 */

/** Bytes of a column that are written at once. */
const PIECE_BYTES = 64 * 1024;
const LOWEST_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Writes a column of numbers; yields when the writer is full. */
export function* writeColumn(out: SnapshotWriter, column: Uint8Array | Uint32Array | Float64Array): Generator<void> {
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT } = column;
  const bytes = lowestFirst(new Uint8Array(buffer, byteOffset, byteLength), BYTES_PER_ELEMENT);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    out.raw(bytes.subarray(at, at + PIECE_BYTES));
    if (out.isFull) yield;
  }
}

/** Reads the 32 bytes of each of `count` digests; they are the caller's own. @throws {SnapshotDamage} when there are not as many */
export function readHashes(input: SnapshotReader, count: number): Uint8Array<ArrayBuffer> {
  return input.rows(count, HASH_BYTES).slice() as Uint8Array<ArrayBuffer>;
}

/** Reads `count` numbers below 2^32, of 4 bytes each. @throws {SnapshotDamage} when there are not as many */
export function readNumbers(input: SnapshotReader, count: number): Uint32Array<ArrayBuffer> {
  const bytes = input.rows(count, Uint32Array.BYTES_PER_ELEMENT).slice();
  return new Uint32Array(lowestFirst(bytes, Uint32Array.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
}

/** Reads `count` numbers of 8 bytes each (IEEE 754). @throws {SnapshotDamage} when there are not as many */
export function readFloats(input: SnapshotReader, count: number): Float64Array<ArrayBuffer> {
  const bytes = input.rows(count, Float64Array.BYTES_PER_ELEMENT).slice();
  return new Float64Array(lowestFirst(bytes, Float64Array.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
}

/** Returns numbers of `width` bytes with the lowest byte of each first: the same bytes on nearly every machine. */
function lowestFirst(bytes: Uint8Array, width: number): Uint8Array {
  if (LOWEST_FIRST || width === 1) return bytes;
  const swapped = bytes.slice();
  for (let at = 0; at < swapped.length; at += width) swapped.subarray(at, at + width).reverse();
  return swapped;
}
