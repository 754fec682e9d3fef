import type { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { NestedStream, type OnTrailing, PIECE_BYTES } from './nested-stream.js';
import { TrailingData } from './push-decoder.js';
import { ZstdFrames } from './zstd-frames.js';

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
