import { Duplex } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { loadCode, StoreError } from '../errors.js';
import { COMPRESSION_RATIO_FREE_BYTES, MAX_COMPRESSION_RATIO, MAX_LAYER_BYTES } from '../limits.js';
import { drained } from './tar-scan.js';
import type { PushDecoder } from './push-decoder.js';

/** How far bytes may expand; plain ones come out as they go in. Sizes are decompressed bytes. */
export interface ExpansionLimits {
  /** All that may come out. */
  readonly maxBytes: number;
  /** Bytes out per byte in. */
  readonly maxRatio: number;
  /** Bytes that may come out whatever the ratio. */
  readonly ratioFreeBytes: number;
}

/** The limits of one layer. */
const LAYER_EXPANSION: ExpansionLimits = {
  maxBytes: MAX_LAYER_BYTES,
  maxRatio: MAX_COMPRESSION_RATIO,
  ratioFreeBytes: COMPRESSION_RATIO_FREE_BYTES,
};

/** The limits of an archive compressed as a whole: its layers have their own, so only the ratio counts. */
export const ARCHIVE_EXPANSION: ExpansionLimits = { ...LAYER_EXPANSION, maxBytes: Number.MAX_SAFE_INTEGER };

/** Counts what goes into and comes out of a decoder, or passes by as it is, and refuses what expands like a bomb. */
export class ExpansionGuard {
  readonly #limits: ExpansionLimits;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(limits: ExpansionLimits = LAYER_EXPANSION) {
    this.#limits = limits;
  }

  /** Notes that `bytes` compressed bytes went in. */
  fed(bytes: number): void {
    this.#bytesIn += bytes;
  }

  /**
   * Notes that `bytes` came out.
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when that is more than the limits allow
   */
  produced(bytes: number): void {
    this.#bytesOut += bytes;
    const { maxBytes, maxRatio, ratioFreeBytes } = this.#limits;
    if (this.#bytesOut > maxBytes) throw this.#exceeded(`at most ${maxBytes} bytes`);
    if (this.#bytesOut <= ratioFreeBytes || this.#bytesOut <= this.#bytesIn * maxRatio) return;
    throw this.#exceeded(`at most ${maxRatio} bytes for each compressed byte`);
  }

  #exceeded(expected: string): StoreError {
    return new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read further: expected ${expected}, found ${this.#bytesOut} bytes from ${this.#bytesIn}`,
      { data: { ...this.#limits, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut } },
    );
  }
}

/** How a layer or a whole archive is compressed; `none` is a plain file. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Bytes at the start of a file that decide how it is compressed. */
export const COMPRESSION_MAGIC_BYTES = 6;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const BZIP2 = [0x42, 0x5a, 0x68];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

/**
 * Tells how a file is compressed from its first COMPRESSION_MAGIC_BYTES bytes,
 * or from all of them when it has fewer. Names and media types are not looked
 * at: `docker save` and registries disagree on them, the bytes never do.
 *
 * Sources: RFC 1952 (gzip), RFC 8878 section 3.1 (zstd frames and skippable
 * frames), the .xz file format 1.2.1 section 2.1.1.1.
 */
export function detectCompression(start: Uint8Array): Compression {
  if (startsWith(start, GZIP)) return 'gzip';
  if (startsWith(start, ZSTD) || isSkippableZstdFrame(start)) return 'zstd';
  if (startsWith(start, BZIP2)) return 'bzip2';
  if (startsWith(start, XZ)) return 'xz';
  return 'none';
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return bytes.length >= magic.length && magic.every((byte, at) => bytes[at] === byte);
}

/** Skippable frames carry 0x184D2A50 to 0x184D2A5F, little endian. */
function isSkippableZstdFrame(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0xf0) === 0x50 && startsWith(bytes.subarray(1), [0x2a, 0x4d, 0x18]);
}

type Callback = (error?: Error | null) => void;

/**
 * A PushDecoder as a stream with backpressure: it takes the next input only
 * when every piece of the last one was read, so memory stays at one piece.
 */
class PushDecoderStream extends Duplex {
  readonly #decoder: PushDecoder;
  #pieces: Iterator<Uint8Array> | undefined;
  #afterPieces: Callback | undefined;

  constructor(decoder: PushDecoder) {
    super({ readableHighWaterMark: 1, writableHighWaterMark: 1 });
    this.#decoder = decoder;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#start(() => this.#decoder.push(chunk), callback);
  }

  override _final(callback: Callback): void {
    const finish: Callback = (error) => {
      if (!error) this.push(null);
      callback(error);
    };
    this.#start(() => this.#decoder.end(), finish);
  }

  override _read(): void {
    this.#pump();
  }

  #start(decode: () => Iterable<Uint8Array>, callback: Callback): void {
    this.#afterPieces = callback;
    try {
      this.#pieces = decode()[Symbol.iterator]();
    } catch (error) {
      this.#finish(error as Error);
      return;
    }
    this.#pump();
  }

  #pump(): void {
    while (this.#pieces !== undefined) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = this.#pieces.next();
      } catch (error) {
        this.#finish(error as Error);
        return;
      }
      if (next.done) this.#finish(null);
      else if (next.value.length > 0 && !this.push(next.value)) return;
    }
  }

  #finish(error: Error | null): void {
    const callback = this.#afterPieces;
    this.#pieces = undefined;
    this.#afterPieces = undefined;
    callback?.(error);
  }
}

/** Output pieces of zlib: larger ones mean fewer trips to its threads. */
const ZLIB_CHUNK_BYTES = 256 * 1024;

/**
 * Returns a stream that takes compressed bytes and gives the decompressed
 * ones, with backpressure both ways. It fails on corrupt and on truncated
 * input, with whatever error the decoder has. Destroy it when done early.
 */
export async function createDecoder(compression: Exclude<Compression, 'none'>): Promise<Duplex> {
  switch (compression) {
    case 'gzip':
      return createGunzip({ chunkSize: ZLIB_CHUNK_BYTES });
    case 'zstd':
      return new PushDecoderStream((await loadCode('of zstd', import('./zstd-decoder.js'))).createZstdDecoder());
    case 'bzip2':
      return new PushDecoderStream((await loadCode('of bzip2', import('./bzip2-decoder.js'))).createBzip2Decoder());
    case 'xz':
      return new PushDecoderStream(await (await loadCode('of xz', import('./xz-decoder.js'))).createXzDecoder());
  }
}

/**
 * Gives the decompressed bytes of `source`, whatever its first bytes say it
 * is; a plain source is passed through as it is. Memory stays at a few chunks.
 * The source is closed when the reader stops early or anything fails.
 *
 * @throws {StoreError} COMPRESSION_INVALID when the data is corrupt or stops early
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when it expands beyond `limits`; a plain source has their size too
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: ExpansionLimits = ARCHIVE_EXPANSION,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const start = await readStart(iterator);
    const compression = detectCompression(start);
    const whole = joined(start, iterator);
    const guard = new ExpansionGuard(limits);
    yield* compression === 'none' ? passOn(whole, guard) : decode(whole, compression, guard);
  } finally {
    await iterator.return?.();
  }
}

/** Returns `error` as the StoreError of a decoder that failed; a StoreError stays itself. */
export function compressionError(compression: Compression, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const found = error instanceof Error ? error.message : String(error);
  return new StoreError(
    'COMPRESSION_INVALID',
    `cannot decompress: expected intact ${compression} data, found: ${found}`,
    {
      cause: error,
      data: { compression },
    },
  );
}

async function* passOn(source: AsyncIterable<Uint8Array>, guard: ExpansionGuard): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    guard.fed(chunk.length);
    guard.produced(chunk.length);
    yield chunk;
  }
}

async function* decode(
  source: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, 'none'>,
  guard: ExpansionGuard,
): AsyncGenerator<Uint8Array> {
  const decoder = await createDecoder(compression);
  // Not awaited: it may be waiting for a source that gives nothing more, and all it has to tell reaches the decoder.
  const feeding = feed(source, decoder, guard);
  feeding.catch((error: unknown) => decoder.destroy(new SourceFailure(error)));
  try {
    for await (const piece of decoder as AsyncIterable<Uint8Array>) {
      guard.produced(piece.length);
      yield piece;
    }
  } catch (error) {
    throw error instanceof SourceFailure ? error.cause : compressionError(compression, error);
  } finally {
    decoder.destroy();
  }
}

/** Tells an error of the source from one of the decoder. */
class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source failed', { cause });
  }
}

/** Writes `source` into `decoder` as fast as it takes it. Rejects with the source's own error only. */
async function feed(source: AsyncIterable<Uint8Array>, decoder: Duplex, guard: ExpansionGuard): Promise<void> {
  for await (const chunk of source) {
    if (decoder.destroyed) return;
    guard.fed(chunk.length);
    if (!decoder.write(chunk)) await drained(decoder);
  }
  decoder.end();
}

async function readStart(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  while (start.length < COMPRESSION_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  return start;
}

async function* joined(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (start.length > 0) yield start;
  for (;;) {
    const next = await rest.next();
    if (next.done) return;
    yield next.value;
  }
}
