import type { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { MAX_ZSTD_WINDOW_BYTES } from '../limits.js';
import { NestedStream, type OnTrailing, PIECE_BYTES, TrailingData } from './decoder.js';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;

type Part = 'magic' | 'skippable size' | 'descriptor' | 'header' | 'block';

/**
 * Finds the frames before they are decoded: rejects oversized windows, up to gigabytes, and tells
 * where other data follows. Source: RFC 8878 section 3.1.
 */
export class ZstdFrames {
  readonly #bytes = new DataView(new ArrayBuffer(14));
  #part: Part = 'magic';
  #filled = 0;
  #needed = 4;
  #skip = 0;
  #descriptor = 0;
  #frames = 0;
  #isPast = false;
  /** The start of what may be a magic number. */
  #held: Uint8Array = new Uint8Array(0);

  /** Whether other data follows the frames. */
  get isPast(): boolean {
    return this.#isPast;
  }

  /** Returns what of the input so far belongs to frames. @throws {Error} if malformed or its window too large */
  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = this.#held.length;
    let frameBytes = 0;
    while (at < bytes.length && !this.#isPast) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at < bytes.length) {
        this.#bytes.setUint8(this.#filled, bytes[at] ?? 0);
        this.#filled += 1;
        at += 1;
        if (this.#filled === this.#needed) this.#take();
      }
      if (this.#part !== 'magic' || this.#skip > 0) frameBytes = at;
      else frameBytes = at - this.#filled;
    }
    this.#held = this.#isPast ? new Uint8Array(0) : new Uint8Array(bytes.subarray(frameBytes));
    return bytes.subarray(0, frameBytes);
  }

  /** Ends the input. @throws {Error} if it ends inside a frame */
  end(): void {
    if (this.#isPast || (this.#part === 'magic' && this.#filled === 0 && this.#skip === 0)) return;
    const [first = 0] = this.#held;
    const isMagic = first === (FRAME_MAGIC & 0xff) || first >> 4 === (SKIPPABLE_MAGIC & 0xff) >> 4;
    if (this.#part === 'magic' && this.#skip === 0 && !isMagic) this.#isPast = true;
    else throw new Error('the zstd data stops in the middle');
  }

  #take(): void {
    this.#filled = 0;
    switch (this.#part) {
      case 'magic':
        this.#takeMagic(this.#bytes.getUint32(0, true));
        break;
      case 'skippable size':
        this.#skip = this.#bytes.getUint32(0, true);
        this.#expect('magic', 4);
        break;
      case 'descriptor':
        this.#takeDescriptor(this.#bytes.getUint8(0));
        break;
      case 'header':
        this.#checkWindow();
        this.#expect('block', BLOCK_HEADER_BYTES);
        break;
      case 'block':
        this.#takeBlock(this.#bytes.getUint16(0, true) | (this.#bytes.getUint8(2) << 16));
        break;
    }
  }

  #takeMagic(magic: number): void {
    if (magic === FRAME_MAGIC) this.#expect('descriptor', 1);
    else if ((magic & 0xfffffff0) === SKIPPABLE_MAGIC) this.#expect('skippable size', 4);
    else if (this.#frames === 0) throw new Error('found something else than a zstd frame');
    else this.#isPast = true;
    this.#frames += 1;
  }

  #takeDescriptor(descriptor: number): void {
    this.#descriptor = descriptor;
    const dictionary = DICTIONARY_ID_BYTES[descriptor & 3] ?? 0;
    this.#expect('header', (this.#isSingleSegment ? 0 : 1) + dictionary + this.#contentSizeBytes);
  }

  get #isSingleSegment(): boolean {
    return (this.#descriptor & 0x20) !== 0;
  }

  get #contentSizeBytes(): number {
    const bytes = CONTENT_SIZE_BYTES[this.#descriptor >> 6] ?? 0;
    return bytes === 0 && this.#isSingleSegment ? 1 : bytes;
  }

  #checkWindow(): void {
    const window = this.#isSingleSegment ? this.#contentSize() : this.#windowSize(this.#bytes.getUint8(0));
    if (window > MAX_ZSTD_WINDOW_BYTES) {
      throw new Error(`expected a window of at most ${MAX_ZSTD_WINDOW_BYTES}, found ${window}`);
    }
  }

  #windowSize(descriptor: number): number {
    const base = 2 ** (10 + (descriptor >> 3));
    return base + (base / 8) * (descriptor & 7);
  }

  /** The window of a single-segment frame is its whole content. */
  #contentSize(): number {
    const at = DICTIONARY_ID_BYTES[this.#descriptor & 3] ?? 0;
    switch (this.#contentSizeBytes) {
      case 1:
        return this.#bytes.getUint8(at);
      case 2:
        return this.#bytes.getUint16(at, true) + 256;
      case 4:
        return this.#bytes.getUint32(at, true);
      default:
        return Number(this.#bytes.getBigUint64(at, true));
    }
  }

  #takeBlock(header: number): void {
    const isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    this.#skip = type === RLE_BLOCK ? 1 : header >> 3;
    if (!isLast) return;
    if ((this.#descriptor & 4) !== 0) this.#skip += CHECKSUM_BYTES;
    this.#expect('magic', 4);
  }

  #expect(part: Part, bytes: number): void {
    this.#part = part;
    this.#needed = bytes;
  }
}

/** The types are those of Node 20, which has no zstd. */
interface ZstdModule extends Pick<typeof zlib, 'crc32'> {
  readonly createZstdDecompress?: (options: { readonly chunkSize: number }) => Duplex;
}

const { createZstdDecompress }: ZstdModule = zlib;

let nativeIsRight: Promise<boolean> | undefined;

/**
 * Returns a stream of Node's own zstd decoder, which checks frame checksums too, or undefined where
 * Node has none or one that loses frames: 22.15.0 and 24.0.0 give only the first frame of a chunk,
 * and files of many frames are common (zstd:chunked, pzstd).
 */
export async function createNativeZstd(onTrailing?: OnTrailing): Promise<Duplex | undefined> {
  if (createZstdDecompress === undefined) return undefined;
  nativeIsRight ??= readsAllFrames(createZstdDecompress);
  if (!(await nativeIsRight)) return undefined;
  return new ZstdStream(createZstdDecompress({ chunkSize: PIECE_BYTES }), onTrailing);
}

/** Tries frames of one byte each: one in a chunk, then two. */
async function readsAllFrames(create: NonNullable<ZstdModule['createZstdDecompress']>): Promise<boolean> {
  const frame = (text: string): Buffer => Buffer.from(`28b52ffd2001090000${Buffer.from(text).toString('hex')}`, 'hex');
  const native = create({ chunkSize: PIECE_BYTES });
  native.write(frame('a'), () => native.end(Buffer.concat([frame('b'), frame('c')])));
  let text = '';
  try {
    for await (const piece of native) text += String(piece);
  } catch {
    return false;
  }
  return text === 'abc';
}

/** Gives a native decoder the frames, after their windows were checked. */
class ZstdStream extends NestedStream {
  readonly #frames = new ZstdFrames();
  readonly #native: Duplex;
  readonly #onTrailing: OnTrailing | undefined;
  #hasTrailed = false;

  constructor(native: Duplex, onTrailing: OnTrailing | undefined) {
    super();
    this.#native = native;
    this.#onTrailing = onTrailing;
    this.nest(native);
  }

  protected override async consume(chunk: Uint8Array): Promise<void> {
    const bytes = this.#frames.push(chunk);
    if (bytes.length > 0) await this.feed(bytes);
    this.#trail();
  }

  protected override async complete(): Promise<void> {
    this.#frames.end();
    this.#trail();
    this.#native.end();
    await this.ended();
  }

  #trail(): void {
    if (!this.#frames.isPast || this.#hasTrailed) return;
    if (this.#onTrailing === undefined) throw new TrailingData('zstd');
    this.#hasTrailed = true;
    this.#onTrailing();
  }
}
