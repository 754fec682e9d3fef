import { ByteReader, putVarint } from '../src/model/bytes.js';
import { type Digest, digestFromHash, HASH_BYTES, putHash } from '../src/model/digest.js';

/** Thrown for a malformed or truncated snapshot. Snapshots are disposable: callers do without. */
export class SnapshotDamage extends Error {
  override readonly name = 'SnapshotDamage';
}

/** Values of a snapshot's numbers. A digest becomes a string on first access, and keeps it. */
class SnapshotTables {
  readonly #hashes: Uint8Array;
  readonly #count: number;
  readonly #digests: (Digest | undefined)[] = [];
  readonly #words: readonly string[];

  /** Takes the concatenated hashes of all digests, and the words. */
  constructor(hashes: Uint8Array, words: readonly string[]) {
    this.#hashes = hashes;
    this.#count = hashes.length / HASH_BYTES;
    this.#words = words;
  }

  /** Returns `number` if a digest has it. @throws {SnapshotDamage} if none has */
  checked(number: number): number {
    if (number >= 1 && number <= this.#count) return number;
    throw unknown(number);
  }

  /** Number of digests. */
  get count(): number {
    return this.#count;
  }

  /** Hashes of all digests, 32 bytes each, that of number 1 first. */
  get hashes(): Uint8Array {
    return this.#hashes;
  }

  /** Returns the digest of a number from `checked`. */
  digest(number: number): Digest {
    const known = this.#digests[number];
    if (known !== undefined) return known;
    const digest = digestFromHash(this.#hashes, (number - 1) * HASH_BYTES);
    this.#digests[number] = digest;
    return digest;
  }

  /** Returns the word of `number`. @throws {SnapshotDamage} if out of range */
  word(number: number): string {
    const word = this.#words[number - 1];
    if (word === undefined) throw unknown(number);
    return word;
  }
}

function unknown(number: number): SnapshotDamage {
  return new SnapshotDamage(`it names number ${number}, which is not in its tables`);
}

// `ignoreBOM` keeps a byte order mark as text.
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads what a SnapshotWriter wrote. Every occurrence of a digest is the same string, so that views
 * take no more memory than folded ones. Reads throw SnapshotDamage on bad bytes.
 */
export class SnapshotReader {
  readonly tables: SnapshotTables;
  readonly #reader: ByteReader;

  constructor(bytes: Uint8Array, tables: SnapshotTables) {
    // On a Buffer, `slice` does not copy and `subarray` is slow.
    this.#reader = new ByteReader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.tables = tables;
  }

  uint(): number {
    const value = this.#reader.number();
    if (value === undefined) throw new SnapshotDamage('it has a number that is cut short or too large');
    return value;
  }

  /** Reads a count of rows of at least a byte each: a corrupt one cannot allocate more. */
  count(): number {
    const count = this.uint();
    if (count <= this.#reader.left) return count;
    throw new SnapshotDamage(`it ends before ${count} rows`);
  }

  /** Reads bytes into a copy. */
  bytes(): Uint8Array {
    return this.#next(this.uint()).slice();
  }

  text(): string {
    const bytes = this.#next(this.uint());
    try {
      return utf8Decoder.decode(bytes);
    } catch {
      throw new SnapshotDamage('it has a text that is not UTF-8');
    }
  }

  word(): string {
    return this.tables.word(this.uint());
  }

  digest<Id extends Digest>(): Id {
    return this.tables.digest(this.tables.checked(this.uint())) as Id;
  }

  /** Reads a digest, or undefined if none was written. */
  optionalDigest<Id extends Digest>(): Id | undefined {
    const number = this.uint();
    return number === 0 ? undefined : (this.tables.digest(this.tables.checked(number)) as Id);
  }

  /** Reads the number of a digest; 0 if none was written. */
  digestNumber(): number {
    const number = this.uint();
    return number === 0 ? 0 : this.tables.checked(number);
  }

  /** Reads a value by `read`, or undefined if none was written. */
  optional<Value>(read: () => Value): Value | undefined {
    const is = this.uint();
    if (is > 1) throw new SnapshotDamage('it has neither a value nor none');
    return is === 0 ? undefined : read();
  }

  /** Throws if bytes are left. */
  end(): void {
    if (!this.#reader.isAtEnd) throw new SnapshotDamage(`${this.#reader.left} bytes are left over`);
  }

  /** Returns the next `count` rows of `length` bytes, as a view. */
  rows(count: number, length: number): Uint8Array {
    return this.#next(count * length);
  }

  #next(length: number): Uint8Array {
    const bytes = this.#reader.take(length);
    if (bytes === undefined) throw new SnapshotDamage('it ends in the middle of a value');
    return bytes;
  }
}

/** Size to empty a writer at: worth a write to a file, at most some milliseconds of work. */
const FULL_BYTES = 16 * 1024;

const utf8Encoder = new TextEncoder();

/**
 * Writes views compactly. Digests and words are numbered from 1 as they come; their tables follow
 * all views, so that an id costs its 32 bytes once and each view can be read alone. SnapshotReader
 * reads values in the same order.
 */
export class SnapshotWriter {
  #bytes = new Uint8Array(2 * FULL_BYTES);
  #length = 0;
  #taken = 0;
  readonly #digests = new Map<Digest, number>();
  readonly #words = new Map<string, number>();

  /** Whether to `take` now. The writer may hold more without loss. */
  get isFull(): boolean {
    return this.#length >= FULL_BYTES;
  }

  /** Bytes written so far, taken or not. */
  get total(): number {
    return this.#taken + this.#length;
  }

  /** Returns the bytes written since the last call, owned by the caller. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#taken += this.#length;
    this.#length = 0;
    return taken;
  }

  /** Writes an integer, 0 to 2^53 - 1, as LEB128. */
  uint(value: number): void {
    this.#reserve(8);
    this.#length = putVarint(this.#bytes, value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.raw(value);
  }

  /** Writes bytes without their length. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(utf8Encoder.encode(value));
  }

  /** Writes a text that is likely to repeat. */
  word(value: string): void {
    this.uint(numberOf(this.#words, value));
  }

  digest(value: Digest): void {
    this.uint(numberOf(this.#digests, value));
  }

  optionalDigest(value: Digest | undefined): void {
    this.uint(value === undefined ? 0 : numberOf(this.#digests, value));
  }

  /** Writes the tables of numbered values; yields when the writer is full. */
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

  /** Writes an integer, 0 to 2^53 - 1, as eight bytes, big-endian. */
  fixed(value: number): void {
    this.#reserve(8);
    const view = new DataView(this.#bytes.buffer);
    view.setUint32(this.#length, Math.floor(value / 2 ** 32));
    view.setUint32(this.#length + 4, value % 2 ** 32);
    this.#length += 8;
  }

  #hash(digest: Digest): void {
    this.#reserve(HASH_BYTES);
    putHash(digest, this.#bytes.subarray(this.#length, this.#length + HASH_BYTES));
    this.#length += HASH_BYTES;
  }

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

function numberOf<Value>(numbers: Map<Value, number>, value: Value): number {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  numbers.set(value, numbers.size + 1);
  return numbers.size;
}

/** Writes the row count, and each row by `write`; yields when the writer is full. */
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

/** Calls `read` for each row of `writeRows`. */
export function readRows(input: SnapshotReader, read: () => void): void {
  for (let left = input.count(); left > 0; left--) read();
}

/** Writes a short list without yielding, each value by `write`. */
export function writeList<Value>(out: SnapshotWriter, values: readonly Value[], write: (value: Value) => void): void {
  out.uint(values.length);
  for (const value of values) write(value);
}

/** Reads a list of `writeList`. */
export function readList<Value>(input: SnapshotReader, read: () => Value): Value[] {
  const values: Value[] = [];
  readRows(input, () => void values.push(read()));
  return values;
}

/*
 * Columns of numbers are stored little-endian, as in the memory of nearly every machine: one copy
 * reads them, not a step per number.
 */

const PIECE_BYTES = 64 * 1024;
const LOWEST_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Writes a column; yields when the writer is full. */
export function* writeColumn(out: SnapshotWriter, column: Uint8Array | Uint32Array | Float64Array): Generator<void> {
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT } = column;
  const bytes = lowestFirst(new Uint8Array(buffer, byteOffset, byteLength), BYTES_PER_ELEMENT);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    out.raw(bytes.subarray(at, at + PIECE_BYTES));
    if (out.isFull) yield;
  }
}

/** Reads `count` hashes of 32 bytes, with room for more. @throws {SnapshotDamage} when truncated */
export function readHashes(input: SnapshotReader, count: number, more = 0): Uint8Array<ArrayBuffer> {
  return readColumn(input, { count, more, width: HASH_BYTES });
}

/** Reads `count` unsigned 32-bit integers, with room for more. @throws {SnapshotDamage} when truncated */
export function readNumbers(input: SnapshotReader, count: number, more = 0): Uint32Array<ArrayBuffer> {
  const width = Uint32Array.BYTES_PER_ELEMENT;
  return new Uint32Array(lowestFirst(readColumn(input, { count, more, width }), width).buffer);
}

/** Reads `count` 64-bit floats (IEEE 754), with room for more. @throws {SnapshotDamage} when truncated */
export function readFloats(input: SnapshotReader, count: number, more = 0): Float64Array<ArrayBuffer> {
  const width = Float64Array.BYTES_PER_ELEMENT;
  return new Float64Array(lowestFirst(readColumn(input, { count, more, width }), width).buffer);
}

/** Reads rows into a copy, with zeros for more of them: a copy later would cost as much again. */
function readColumn(
  input: SnapshotReader,
  { count, more, width }: { readonly count: number; readonly more: number; readonly width: number },
): Uint8Array<ArrayBuffer> {
  const rows = input.rows(count, width);
  const column = new Uint8Array((count + more) * width);
  column.set(rows);
  return column;
}

/** Converts numbers of `width` bytes between machine and little-endian order. */
function lowestFirst<Bytes extends Uint8Array>(bytes: Bytes, width: number): Bytes {
  if (LOWEST_FIRST || width === 1) return bytes;
  const swapped = bytes.slice() as Bytes;
  for (let at = 0; at < swapped.length; at += width) swapped.subarray(at, at + width).reverse();
  return swapped;
}

/*
 * Sections, the length of each, the tables of values that they number, and a footer (8 bytes) with
 * the offset of the lengths, so that one section can be read alone.
 */

const FOOTER_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** Writes a view of one moment; yields whenever the writer is full, so that others can run. */
export type ViewEncoder = (out: SnapshotWriter) => Iterable<void>;

/** Yields what the encoders write as sections, in pieces. */
export function* encodeSections(encoders: readonly ViewEncoder[]): Generator<Uint8Array> {
  const out = new SnapshotWriter();
  const ends: number[] = [];
  for (const encode of encoders) {
    for (const _ of encode(out)) yield out.take();
    ends.push(out.total);
  }
  const start = out.total;
  for (const [at, end] of ends.entries()) out.uint(end - (ends[at - 1] ?? 0));
  for (const _ of out.tables()) yield out.take();
  out.fixed(start);
  yield out.take();
}

/** Sections that were read, by name. */
export interface Sections<Name extends string> {
  /** Returns a new reader of a section. */
  read(name: Name): SnapshotReader;
}

/**
 * Opens the output of `encodeSections`, whose encoders had these names. Keeps `bytes`, which must
 * not change.
 * @throws {SnapshotDamage} when they are malformed
 */
export function openSections<Name extends string>(bytes: Uint8Array, names: readonly Name[]): Sections<Name> {
  const start = startOfLengths(bytes);
  const tail = new SnapshotReader(
    bytes.subarray(start, bytes.length - FOOTER_BYTES),
    new SnapshotTables(bytes.subarray(0, 0), []),
  );
  const lengths = names.map(() => tail.uint());
  const hashes = tail.rows(tail.count(), HASH_BYTES);
  const tables = new SnapshotTables(
    hashes,
    readList(tail, () => tail.text()),
  );
  tail.end();
  const sections = new Map<Name, Uint8Array>();
  let at = 0;
  for (const [index, name] of names.entries()) {
    const end = at + (lengths[index] as number);
    if (end > start) throw new SnapshotDamage(`its view ${name} is longer than it is`);
    sections.set(name, bytes.subarray(at, end));
    at = end;
  }
  if (at !== start) throw new SnapshotDamage(`${start - at} bytes are left over`);
  return { read: (name) => new SnapshotReader(sections.get(name) as Uint8Array, tables) };
}

function startOfLengths(bytes: Uint8Array): number {
  if (bytes.length < FOOTER_BYTES) throw new SnapshotDamage('it ends before it begins');
  const footer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - FOOTER_BYTES, FOOTER_BYTES);
  const start = footer.getUint32(0) * TWO_POW_32 + footer.getUint32(4);
  if (start <= bytes.length - FOOTER_BYTES) return start;
  throw new SnapshotDamage('it ends before its tables');
}
