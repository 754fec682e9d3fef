import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib';
import { MAX_GZIP_HEADER_BYTES } from '../limits.js';
import { NestedStream, type OnTrailing, PIECE_BYTES, TrailingData } from './decoder.js';

const MAGIC = [0x1f, 0x8b];
const TRAILER_BYTES = 8;
const HAS_HEADER_CRC = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;

/**
 * Decompresses gzip members one after another. Zero bytes after them are padding.
 *
 * Node's own gunzip fails when other data follows, and loses the output before it; so members are
 * told apart here. Source: RFC 1952.
 */
export class GzipStream extends NestedStream {
  readonly #onTrailing: OnTrailing | undefined;
  #part: 'header' | 'data' | 'trailer' | 'padding' | 'trailing' = 'header';
  #members = 0;
  /** Header or trailer so far. */
  #gathered: Buffer = Buffer.alloc(0);
  #inflate: InflateRaw | undefined;
  #crc = 0;
  #bytes = 0;

  constructor(onTrailing?: OnTrailing) {
    super();
    this.#onTrailing = onTrailing;
  }

  protected override async consume(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length && this.#part !== 'trailing'; ) {
      const rest = chunk.subarray(at);
      at += this.#part === 'data' ? await this.#takeData(rest) : this.#takeOther(rest);
    }
  }

  protected override async complete(): Promise<void> {
    const isBetween = this.#part === 'header' && this.#gathered.length === 0 && this.#members > 0;
    if (isBetween || this.#part === 'padding' || this.#part === 'trailing') return;
    // Inflating fails if its data is not complete; the trailer is missing in any case.
    if (this.#part === 'data') {
      this.#inflate?.end();
      await this.ended();
    }
    throw new Error('unexpected end of file');
  }

  #takeOther(bytes: Uint8Array): number {
    switch (this.#part) {
      case 'header':
        return this.#takeHeader(bytes);
      case 'trailer':
        return this.#takeTrailer(bytes);
      default:
        if (bytes.some((byte) => byte !== 0)) this.#trail();
        return bytes.length;
    }
  }

  #takeHeader(bytes: Uint8Array): number {
    const before = this.#gathered.length;
    if (this.#members > 0 && before === 0 && bytes[0] === 0) {
      this.#part = 'padding';
      return 0;
    }
    const gathered = Buffer.concat([this.#gathered, bytes.subarray(0, MAX_GZIP_HEADER_BYTES)]);
    if (MAGIC.some((byte, at) => at < gathered.length && gathered[at] !== byte)) {
      if (this.#members === 0) throw new Error('incorrect header check');
      this.#trail();
      return bytes.length;
    }
    const headerBytes = gzipHeaderBytes(gathered);
    if (headerBytes === undefined) {
      if (gathered.length > MAX_GZIP_HEADER_BYTES) {
        throw new Error(`a gzip header of more than ${MAX_GZIP_HEADER_BYTES} bytes`);
      }
      this.#gathered = gathered;
      return bytes.length;
    }
    this.#gathered = Buffer.alloc(0);
    this.#startData();
    return headerBytes - before;
  }

  #startData(): void {
    this.#part = 'data';
    this.#crc = 0;
    this.#bytes = 0;
    this.#inflate = createInflateRaw({ chunkSize: PIECE_BYTES });
    this.nest(this.#inflate, (piece) => {
      this.#crc = crc32(piece, this.#crc);
      this.#bytes += piece.length;
    });
  }

  /** What inflating leaves unused comes after its end. */
  async #takeData(bytes: Uint8Array): Promise<number> {
    const before = this.#inflate?.bytesWritten ?? 0;
    await this.feed(bytes);
    const used = (this.#inflate?.bytesWritten ?? 0) - before;
    if (used === bytes.length) return used;
    await this.ended();
    this.#part = 'trailer';
    return used;
  }

  #takeTrailer(bytes: Uint8Array): number {
    const part = bytes.subarray(0, TRAILER_BYTES - this.#gathered.length);
    this.#gathered = Buffer.concat([this.#gathered, part]);
    if (this.#gathered.length < TRAILER_BYTES) return part.length;
    if (this.#gathered.readUInt32LE(0) !== this.#crc) throw new Error('incorrect data check');
    if (this.#gathered.readUInt32LE(4) !== this.#bytes % 2 ** 32) throw new Error('incorrect length check');
    this.#gathered = Buffer.alloc(0);
    this.#members += 1;
    this.#part = 'header';
    return part.length;
  }

  #trail(): void {
    if (this.#onTrailing === undefined) throw new TrailingData('gzip');
    this.#part = 'trailing';
    this.#onTrailing();
  }
}

/** Returns the size of the header at the start of `bytes`; undefined if there is more of it to come. */
function gzipHeaderBytes(bytes: Buffer): number | undefined {
  if (bytes.length < 10) return undefined;
  const flags = bytes[3] ?? 0;
  if (bytes[2] !== 8) throw new Error('unknown compression method');
  if ((flags & 0xe0) !== 0) throw new Error('unknown header flags set');
  let at = 10;
  if ((flags & HAS_EXTRA) !== 0) {
    if (bytes.length < at + 2) return undefined;
    at += 2 + bytes.readUInt16LE(at);
  }
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end < at) return undefined;
    at = end + 1;
  }
  if ((flags & HAS_HEADER_CRC) !== 0) {
    if (bytes.length < at + 2) return undefined;
    if (bytes.readUInt16LE(at) !== (crc32(bytes.subarray(0, at)) & 0xffff)) throw new Error('header crc mismatch');
    at += 2;
  }
  return at <= bytes.length ? at : undefined;
}
