import { Duplex, type Writable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { loadCode, StoreError, thrownText } from '../errors.js';
import { COMPRESSION_RATIO_FREE_BYTES, MAX_COMPRESSION_RATIO, MAX_LAYER_BYTES } from '../limits.js';
import { GzipStream } from './gzip-stream.js';
import { type OnTrailing, PIECE_BYTES, type PushDecoder, TrailingData } from './decoder.js';
import { createNativeZstd } from './zstd-stream.js';

/** Input is lent, so none is buffered. */
const GUNZIP = { chunkSize: PIECE_BYTES, writableHighWaterMark: 1 };

/** Limits for decompression, in decompressed bytes. Plain input passes through. */
export interface ExpansionLimits {
  /** Maximum total output. */
  readonly maxBytes: number;
  /** Maximum output bytes per input byte. */
  readonly maxRatio: number;
  /** Output allowed regardless of the ratio. */
  readonly ratioFreeBytes: number;
}

const LAYER_EXPANSION: ExpansionLimits = {
  maxBytes: MAX_LAYER_BYTES,
  maxRatio: MAX_COMPRESSION_RATIO,
  ratioFreeBytes: COMPRESSION_RATIO_FREE_BYTES,
};

/** Limits for a compressed archive: only the ratio, since its layers are limited individually. */
export const ARCHIVE_EXPANSION: ExpansionLimits = { ...LAYER_EXPANSION, maxBytes: Number.MAX_SAFE_INTEGER };

/** Counts bytes in and out, of a decoder or a plain source, to detect decompression bombs. */
export class ExpansionGuard {
  readonly #limits: ExpansionLimits;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(limits: ExpansionLimits = LAYER_EXPANSION) {
    this.#limits = limits;
  }

  /** Records compressed input. */
  fed(bytes: number): void {
    this.#bytesIn += bytes;
  }

  /** Records output. @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if over the limits */
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

/** Compression of a layer or archive; `none` is a plain file. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Leading bytes needed to detect the compression. */
export const COMPRESSION_MAGIC_BYTES = 6;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const BZIP2 = [0x42, 0x5a, 0x68];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

/**
 * Detects the compression from the first COMPRESSION_MAGIC_BYTES bytes (or all, if fewer). Ignores
 * names and media types: `docker save` and registries disagree on those.
 *
 * Sources: RFC 1952 (gzip), RFC 8878 section 3.1 (zstd frames and skippable frames), the .xz file
 * format 1.2.1 section 2.1.1.1.
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

/** Skippable frames start with 0x184D2A50 to 0x184D2A5F, little endian. */
function isSkippableZstdFrame(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0xf0) === 0x50 && startsWith(bytes.subarray(1), [0x2a, 0x4d, 0x18]);
}

type Callback = (error?: Error | null) => void;

/** Streams a PushDecoder with backpressure: memory stays at one output piece. */
class PushDecoderStream extends Duplex {
  readonly #decoder: PushDecoder;
  #pieces: Iterator<Uint8Array> | undefined;
  #afterPieces: Callback | undefined;
  readonly #onTrailing: OnTrailing | undefined;
  #hasTrailed = false;

  constructor(decoder: PushDecoder, onTrailing: OnTrailing | undefined) {
    super({ readableHighWaterMark: 1, writableHighWaterMark: 1 });
    this.#decoder = decoder;
    this.#onTrailing = onTrailing;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    if (this.#hasTrailed) callback();
    else this.#start(() => this.#decoder.push(chunk), callback);
  }

  override _final(callback: Callback): void {
    const finish: Callback = (error) => {
      if (!error) this.push(null);
      callback(error);
    };
    if (this.#hasTrailed) finish();
    else this.#start(() => this.#decoder.end(), finish);
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
    if (error instanceof TrailingData && this.#onTrailing !== undefined) {
      this.#hasTrailed = true;
      this.#onTrailing();
      callback?.();
    } else callback?.(error);
  }
}

/**
 * Creates a decompression stream with backpressure both ways; a chunk written is the caller's again
 * when the stream drains. Corrupt or truncated input fails with
 * the decoder's own error, and so does other data after it, unless `onTrailing` is given: then that
 * data is ignored. Destroy the stream when stopping early.
 */
export async function createDecoder(
  compression: Exclude<Compression, 'none'>,
  onTrailing?: OnTrailing,
): Promise<Duplex> {
  // Node's own reads thousands of small members, as of eStargz layers, five times as fast.
  if (compression === 'gzip') {
    if (onTrailing !== undefined) return new GzipStream(onTrailing);
    return createGunzip(GUNZIP);
  }
  const native = compression === 'zstd' ? await createNativeZstd(onTrailing) : undefined;
  return native ?? new PushDecoderStream(await loadDecoder(compression), onTrailing);
}

async function loadDecoder(compression: Exclude<Compression, 'none' | 'gzip'>): Promise<PushDecoder> {
  switch (compression) {
    case 'zstd':
      return (await loadCode('of zstd', import('./zstd-decoder.js'))).createZstdDecoder();
    case 'bzip2':
      return (await loadCode('of bzip2', import('./bzip2-decoder.js'))).createBzip2Decoder();
    case 'xz':
      return (await loadCode('of xz', import('./xz-decoder.js'))).createXzDecoder();
  }
}

/**
 * Frees the memory of a used piece of output, if it is the last one in a buffer of Node's decoder:
 * the next one is in another. Left to the garbage collector, 30 MB of output cost a full collection,
 * altogether a fifth of the CPU time of a load of zstd layers. A no-op on Node 20.
 */
export function releasePiece(compression: Compression, piece: Uint8Array): void {
  if (compression !== 'gzip' && compression !== 'zstd') return;
  const buffer: TransferableBuffer = piece.buffer;
  const isLast = piece.byteOffset + piece.length === PIECE_BYTES;
  if (isLast && buffer.byteLength === PIECE_BYTES) buffer.transfer?.(0);
}

/** The types are those of Node 20, which has no `transfer`. */
interface TransferableBuffer extends Pick<ArrayBuffer, 'byteLength'> {
  readonly transfer?: (bytes: number) => unknown;
}

/**
 * Decompresses `source`, detecting the format; plain input passes through. Memory: a few chunks.
 * Closes the source on early stop or failure. Other data after the compressed data is an error, or
 * ignored and reported by `onTrailing`, once. With `isLent`, each piece is valid until the next is
 * pulled.
 * @throws {StoreError} COMPRESSION_INVALID if corrupt or truncated
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if it exceeds `limits`, even if plain
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: ExpansionLimits = ARCHIVE_EXPANSION,
  onTrailing?: (compression: Compression) => void,
  isLent = false,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const start = await readStart(iterator);
    const compression = detectCompression(start);
    const whole = joined(start, iterator);
    const guard = new ExpansionGuard(limits);
    if (compression === 'none') {
      yield* passOn(whole, guard);
      return;
    }
    for await (const piece of decode(whole, compression, guard, onTrailing && (() => onTrailing(compression)))) {
      yield piece;
      if (isLent) releasePiece(compression, piece);
    }
  } finally {
    await iterator.return?.();
  }
}

/** Wraps a decoder error in a StoreError; returns an existing StoreError as is. */
export function compressionError(compression: Compression, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const found = thrownText(error);
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
  onTrailing: OnTrailing | undefined,
): AsyncGenerator<Uint8Array> {
  const decoder = await createDecoder(compression, onTrailing);
  // Not awaited: it may hang on a stalled source, and all its errors reach the decoder.
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

class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source failed', { cause });
  }
}

/** Pipes `source` into `decoder` with backpressure. Rejects only with the source's own error. */
async function feed(source: AsyncIterable<Uint8Array>, decoder: Duplex, guard: ExpansionGuard): Promise<void> {
  for await (const chunk of source) {
    if (decoder.destroyed) return;
    guard.fed(chunk.length);
    if (!decoder.write(chunk)) await drained(decoder);
  }
  decoder.end();
}

type Sink = Pick<Writable, 'destroyed'> & {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
};

/** Resolves once `sink` drains or is destroyed. Call after a write returned false. */
export function drained(sink: Sink): Promise<void> {
  // 'close' is emitted only once, so listening after destruction would wait forever.
  if (sink.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
  });
}

async function readStart(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  while (start.length < COMPRESSION_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    // Copied when more is needed: a chunk is lent until the next is pulled.
    const isEnough = start.length === 0 && next.value.length >= COMPRESSION_MAGIC_BYTES;
    start = isEnough ? next.value : Buffer.concat([start, next.value]);
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
