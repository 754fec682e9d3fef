import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { MAX_XZ_DICTIONARY_BYTES } from '../limits.js';
import { createXzFilter, type XzFilter } from './bcj-decoder.js';
import { LzmaDecoder } from './lzma-decoder.js';
import { type PushDecoder, TrailingData } from './decoder.js';

const HEADER_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = 0x5a59;
const HEADER_BYTES = 12;
const LZMA2 = 0x21;

/** What the coroutine yields when it has used all input. */
const MORE = new Uint8Array(0);
type Steps<T> = Generator<Uint8Array, T, undefined>;

/**
 * Creates an xz decompressor: one or more streams of one or more blocks with all checks and filters
 * of the format, except RISC-V. Verifies every check value, the index and the sizes.
 *
 * Source: the .xz file format 1.2.1; numbers are those of its sections.
 */
export function createXzDecoder(): PushDecoder {
  const input = new Input();
  const steps = new XzReader(input).streams();
  const run = function* (): Generator<Uint8Array> {
    for (let step = steps.next(); !step.done && step.value !== MORE; step = steps.next()) yield step.value;
  };
  return {
    *push(chunk) {
      input.feed(chunk);
      yield* run();
    },
    *end() {
      input.end();
      yield* run();
    },
  };
}

/** Input as it comes, read as if it were all there. */
class Input {
  #chunk: Uint8Array = MORE;
  #at = 0;
  #isEnded = false;
  /** Bytes read so far. */
  position = 0;

  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  end(): void {
    this.feed(MORE);
    this.#isEnded = true;
  }

  /** Whether no byte is left. */
  *isAtEnd(): Steps<boolean> {
    while (this.#at === this.#chunk.length) {
      if (this.#isEnded) return true;
      yield MORE;
    }
    return false;
  }

  /** Returns the next `bytes`, valid until more are read. @throws {Error} if there are fewer */
  *take(bytes: number): Steps<Uint8Array> {
    this.position += bytes;
    if (this.#chunk.length - this.#at >= bytes) return this.#slice(bytes);
    const taken = new Uint8Array(bytes);
    for (let filled = 0; filled < bytes; ) {
      if (yield* this.isAtEnd()) throw new Error('the xz stream stops in the middle');
      const part = this.#slice(Math.min(bytes - filled, this.#chunk.length - this.#at));
      taken.set(part, filled);
      filled += part.length;
    }
    return taken;
  }

  /** Passes over zero bytes; returns how many there were. */
  *skipZeros(): Steps<number> {
    let zeros = 0;
    while (!(yield* this.isAtEnd()) && this.#chunk[this.#at] === 0) {
      const next = this.#chunk.findIndex((byte, at) => at >= this.#at && byte !== 0);
      const end = next === -1 ? this.#chunk.length : next;
      zeros += end - this.#at;
      this.#at = end;
    }
    return zeros;
  }

  *takeByte(): Steps<number> {
    return (yield* this.take(1))[0] ?? 0;
  }

  #slice(bytes: number): Uint8Array {
    const slice = this.#chunk.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    return slice;
  }
}

/** Computes the check value of a block (2.1.1.2). */
interface Check {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

function createCheck(kind: number): Check {
  switch (kind) {
    case 0:
      return { update: () => undefined, digest: () => MORE };
    case 1:
      return createCrc32();
    case 4:
      return createCrc64();
    case 10: {
      const hash = createHash('sha256');
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    default:
      throw new Error(`an xz check of kind ${kind}, which the format has reserved`);
  }
}

function createCrc32(): Check {
  let value = 0;
  return {
    update: (bytes) => {
      value = crc32(bytes, value);
    },
    digest: () => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value);
      return bytes;
    },
  };
}

/** What 8 bits add to the low and the high half of a CRC64 (ECMA-182, reflected), 0 to 3 bytes later. */
const CRC64_LOW = new Int32Array(4 << 8);
const CRC64_HIGH = new Int32Array(4 << 8);
for (let index = 0; index < 4 << 8; index++) {
  // The row before, or a single byte, moved on by 8 bits.
  let low = index < 0x100 ? index : (CRC64_LOW[index - 0x100] ?? 0);
  let high = index < 0x100 ? 0 : (CRC64_HIGH[index - 0x100] ?? 0);
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (isOdd) {
      low ^= 0xd7870f42;
      high ^= 0xc96c5795;
    }
  }
  CRC64_LOW[index] = low;
  CRC64_HIGH[index] = high;
}

function createCrc64(): Check {
  let low = -1;
  let high = -1;
  const update = (bytes: Uint8Array): void => {
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const first = 0x300 + ((low ^ (bytes[at] ?? 0)) & 0xff);
      const second = 0x200 + (((low >>> 8) ^ (bytes[at + 1] ?? 0)) & 0xff);
      const third = 0x100 + (((low >>> 16) ^ (bytes[at + 2] ?? 0)) & 0xff);
      const fourth = (low >>> 24) ^ (bytes[at + 3] ?? 0);
      low = high ^ sum(CRC64_LOW, first, second, third, fourth);
      high = sum(CRC64_HIGH, first, second, third, fourth);
    }
    for (; at < bytes.length; at++) {
      const index = (low ^ (bytes[at] ?? 0)) & 0xff;
      low = (low >>> 8) ^ (high << 24) ^ (CRC64_LOW[index] ?? 0);
      high = (high >>> 8) ^ (CRC64_HIGH[index] ?? 0);
    }
  };
  const digest = (): Uint8Array => {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(~low, 0);
    bytes.writeInt32LE(~high, 4);
    return bytes;
  };
  return { update, digest };
}

function sum(table: Int32Array, first: number, second: number, third: number, fourth: number): number {
  return (table[first] ?? 0) ^ (table[second] ?? 0) ^ (table[third] ?? 0) ^ (table[fourth] ?? 0);
}

/** A filter that holds back what it cannot restore without the bytes after it. */
class FilterStep {
  readonly #filter: XzFilter;
  #position = 0;
  held: Uint8Array = MORE;

  constructor(filter: XzFilter) {
    this.#filter = filter;
  }

  push(bytes: Uint8Array): Uint8Array {
    const joined = Buffer.concat([this.held, bytes]);
    const final = this.#filter(joined, this.#position);
    this.#position += final;
    this.held = joined.subarray(final);
    return joined.subarray(0, final);
  }
}

interface BlockHeader {
  readonly headerBytes: number;
  readonly compressedBytes: number | undefined;
  readonly bytes: number | undefined;
  readonly dictionaryBytes: number;
  /** In the order of decoding. */
  readonly filters: readonly FilterStep[];
}

class XzReader {
  readonly #input: Input;
  readonly #lzma = new LzmaDecoder();
  #needsDictionary = true;
  #needsProperties = true;
  #checkKind = 0;
  /** Number and running checksum of the sizes of this stream's blocks, to compare with the index. */
  #blocks = 0;
  #sizes = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Reads all streams and the padding between them. */
  *streams(): Steps<void> {
    yield* this.#stream();
    for (;;) {
      const padding = yield* this.#input.skipZeros();
      const isEnd = yield* this.#input.isAtEnd();
      if (padding % 4 !== 0) throw new TrailingData('xz');
      if (isEnd) return;
      yield* this.#stream();
    }
  }

  *#stream(): Steps<void> {
    const isFirst = this.#input.position === 0;
    for (const expected of HEADER_MAGIC) {
      if ((yield* this.#input.takeByte()) === expected) continue;
      throw isFirst ? new Error('no xz header') : new TrailingData('xz');
    }
    const flags = Buffer.from(yield* this.#input.take(2));
    if (crc32(flags) !== (yield* this.#takeUint32())) throw new Error('a wrong CRC32 of an xz stream header');
    const flag = flags.readUInt16BE();
    if (flag > 0xf) throw new Error('unknown flags of an xz stream');
    this.#checkKind = flag;
    this.#blocks = 0;
    this.#sizes = 0;
    for (;;) {
      const size = yield* this.#input.takeByte();
      if (size === 0) break;
      yield* this.#block(yield* this.#blockHeader(size));
    }
    yield* this.#footer(yield* this.#index(), flags);
  }

  *#takeUint32(): Steps<number> {
    return readUint32(yield* this.#input.take(4));
  }

  *#blockHeader(size: number): Steps<BlockHeader> {
    const bytes = size * 4;
    const header = Buffer.concat([Uint8Array.of(size), yield* this.#input.take(bytes - 1)]);
    if (crc32(header) !== (yield* this.#takeUint32())) throw new Error('a wrong CRC32 of an xz block header');
    const flags = header[1] ?? 0;
    if ((flags & 0x3c) !== 0) throw new Error('unknown flags of an xz block');
    const fields = new Fields(header.subarray(2));
    const compressedBytes = (flags & 0x40) === 0 ? undefined : fields.number();
    const contentBytes = (flags & 0x80) === 0 ? undefined : fields.number();
    const filters: FilterStep[] = [];
    for (let n = flags & 3; n > 0; n--)
      filters.unshift(new FilterStep(createXzFilter(fields.number(), fields.bytes())));
    const last = fields.number();
    if (last !== LZMA2) throw new Error(`the filter 0x${last.toString(16)} instead of LZMA2`);
    const dictionaryBytes = dictionarySize(fields.bytes());
    if (fields.hasMore) throw new Error('unknown fields of an xz block header');
    return { headerBytes: bytes + 4, compressedBytes, bytes: contentBytes, dictionaryBytes, filters };
  }

  *#block({ headerBytes, compressedBytes, bytes, dictionaryBytes, filters }: BlockHeader): Steps<void> {
    const start = this.#input.position;
    const check = createCheck(this.#checkKind);
    let found = 0;
    this.#lzma.reset(dictionaryBytes);
    this.#needsDictionary = true;
    for (let chunk = yield* this.#chunk(); chunk !== undefined; chunk = yield* this.#chunk()) {
      // Copied, as what comes out is still in use when the window changes.
      let piece = filters.length === 0 ? new Uint8Array(chunk) : chunk;
      for (const filter of filters) piece = filter.push(piece);
      check.update(piece);
      found += piece.length;
      yield piece;
    }
    const rest = filters.reduce<Uint8Array>((held, step) => Buffer.concat([step.push(held), step.held]), MORE);
    if (rest.length > 0) {
      check.update(rest);
      found += rest.length;
      yield rest;
    }
    const compressed = this.#input.position - start;
    if (compressed !== (compressedBytes ?? compressed) || found !== (bytes ?? found)) {
      throw new Error('an xz block of another size than its header says');
    }
    yield* this.#padding(compressed);
    const value = check.digest();
    if (Buffer.compare(yield* this.#input.take(value.length), value) !== 0) {
      throw new Error('a wrong check value of an xz block');
    }
    this.#blocks += 1;
    this.#sizes = sizesChecksum(this.#sizes, headerBytes + compressed + value.length, found);
  }

  /** Returns the content of an LZMA2 chunk, valid until the next, or undefined at the end (5.3.1). */
  *#chunk(): Steps<Uint8Array | undefined> {
    const control = yield* this.#input.takeByte();
    if (control === 0) return undefined;
    if (control === 1 || control >= 0xe0) {
      this.#lzma.resetDictionary();
      this.#needsDictionary = false;
      this.#needsProperties = true;
    }
    if (this.#needsDictionary || (control > 2 && control < 0x80)) throw new Error('a corrupt LZMA2 chunk');
    if (control <= 2) {
      const size = Buffer.from(yield* this.#input.take(2)).readUInt16BE() + 1;
      return this.#lzma.store(yield* this.#input.take(size));
    }
    const sizes = Buffer.from(yield* this.#input.take(4));
    if (control >= 0xc0) {
      this.#lzma.setProperties(yield* this.#input.takeByte());
      this.#needsProperties = false;
    } else if (this.#needsProperties) throw new Error('an LZMA2 chunk without properties');
    if (control >= 0xa0) this.#lzma.resetState();
    const size = ((control & 0x1f) << 16) + sizes.readUInt16BE(0) + 1;
    return this.#lzma.decode(yield* this.#input.take(sizes.readUInt16BE(2) + 1), size);
  }

  /** Reads the index (4), of which the first byte was read; returns its size. */
  *#index(): Steps<number> {
    const start = this.#input.position - 1;
    const sum = { value: crc32(Uint8Array.of(0)) };
    let sizes = 0;
    if ((yield* this.#takeNumber(sum)) !== this.#blocks) throw new Error('an xz index of another number of blocks');
    for (let n = 0; n < this.#blocks; n++) {
      sizes = sizesChecksum(sizes, yield* this.#takeNumber(sum), yield* this.#takeNumber(sum));
    }
    if (sizes !== this.#sizes) throw new Error('an xz index of other sizes than its blocks have');
    const padding = yield* this.#padding(this.#input.position - start);
    const value = crc32(new Uint8Array(padding), sum.value);
    if (value !== (yield* this.#takeUint32())) throw new Error('a wrong CRC32 of an xz index');
    return this.#input.position - start;
  }

  /** Reads a number of the index into its checksum too. */
  *#takeNumber(sum: { value: number }): Steps<number> {
    const bytes: number[] = [];
    do {
      const byte = yield* this.#input.takeByte();
      bytes.push(byte);
    } while (bytes.length < 9 && (bytes.at(-1) ?? 0) >= 0x80);
    const encoded = Uint8Array.from(bytes);
    sum.value = crc32(encoded, sum.value);
    return new Fields(encoded).number();
  }

  *#footer(indexBytes: number, flags: Uint8Array): Steps<void> {
    const footer = Buffer.from(yield* this.#input.take(HEADER_BYTES));
    const isWhole =
      footer.readUInt32LE(0) === crc32(footer.subarray(4, 10)) &&
      (footer.readUInt32LE(4) + 1) * 4 === indexBytes &&
      footer.subarray(8, 10).equals(flags) &&
      footer.readUInt16LE(10) === FOOTER_MAGIC;
    if (!isWhole) throw new Error('a corrupt xz stream footer');
  }

  /** Reads the zero bytes after `bytes` up to a multiple of 4; returns how many. */
  *#padding(bytes: number): Steps<number> {
    const padding = -bytes & 3;
    if ((yield* this.#input.take(padding)).some((byte) => byte !== 0)) throw new Error('xz padding that is not zero');
    return padding;
  }
}

function readUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function sizesChecksum(before: number, unpadded: number, content: number): number {
  return crc32(`${unpadded} ${content};`, before);
}

/** The fields of a block header. */
class Fields {
  readonly #from: Uint8Array;
  #at = 0;

  constructor(from: Uint8Array) {
    this.#from = from;
  }

  /** Whether anything but padding is left. */
  get hasMore(): boolean {
    return this.#from.subarray(this.#at).some((byte) => byte !== 0);
  }

  /** Reads a number of 7 bits a byte (1.2). */
  number(): number {
    let value = 0;
    for (let n = 0; n < 9; n++) {
      const byte = this.#from[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** (7 * n);
      if (byte < 0x80 && Number.isSafeInteger(value)) return value;
    }
    throw new Error('a bad number in an xz header');
  }

  /** Reads bytes after their number. */
  bytes(): Uint8Array {
    const size = this.number();
    const bytes = this.#from.subarray(this.#at, this.#at + size);
    if (bytes.length < size) throw new Error('an xz block header that is too short');
    this.#at += size;
    return bytes;
  }
}

/** Two bits of mantissa over an exponent (5.3.1). @throws {Error} above the limit */
function dictionarySize(properties: Uint8Array): number {
  const bits = properties[0] ?? 0xff;
  if (properties.length !== 1 || bits > 40) throw new Error('bad properties of LZMA2');
  const bytes = (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (bytes > MAX_XZ_DICTIONARY_BYTES) {
    throw new Error(`a dictionary of ${bytes} bytes: expected at most ${MAX_XZ_DICTIONARY_BYTES}`);
  }
  return bytes;
}
