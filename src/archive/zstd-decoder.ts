import { Decompress } from 'fzstd';
import { MAX_ZSTD_WINDOW_BYTES } from '../limits.js';
import type { PushDecoder } from './push-decoder.js';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;

type Part = 'magic' | 'skippable size' | 'descriptor' | 'header' | 'block';

/** Rejects oversized windows, up to gigabytes, before decoding. Source: RFC 8878 section 3.1. */
class ZstdFrames {
  readonly #bytes = new DataView(new ArrayBuffer(14));
  #part: Part = 'magic';
  #filled = 0;
  #needed = 4;
  #skip = 0;
  #descriptor = 0;

  /** Scans bytes. @throws {Error} if a frame is malformed or its window too large */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === chunk.length) return;
      this.#bytes.setUint8(this.#filled, chunk[at] ?? 0);
      this.#filled += 1;
      at += 1;
      if (this.#filled === this.#needed) this.#take();
    }
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
    else throw new Error('found something else than a zstd frame');
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

/** Input slice size: every 4 bytes of input can expand to 128 KiB. */
const SLICE_BYTES = 1024;

/**
 * Creates a zstd decompressor. Accepts concatenated and skippable frames. Does not check frame
 * checksums; the digest of the output covers them. Node's own decoder (22.15+) is faster but
 * silently stops after the first frame, and multi-frame layers are common (zstd:chunked, pzstd).
 */
export function createZstdDecoder(): PushDecoder {
  const frames = new ZstdFrames();
  let pieces: Uint8Array[] = [];
  // Copied: the bytes are the decoder's window, overwritten by the next block.
  const decoder = new Decompress((piece) => void pieces.push(new Uint8Array(piece)));
  const take = (): Uint8Array[] => {
    const ready = pieces;
    pieces = [];
    return ready;
  };
  return {
    *push(chunk) {
      // The decoder retains unused input, but the chunk belongs to the caller.
      const owned = new Uint8Array(chunk);
      for (let at = 0; at < owned.length; at += SLICE_BYTES) {
        const slice = owned.subarray(at, at + SLICE_BYTES);
        frames.push(slice);
        decoder.push(slice);
        yield* take();
      }
    },
    *end() {
      decoder.push(new Uint8Array(0), true);
      yield* take();
    },
  };
}
