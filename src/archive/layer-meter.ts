import { createHash, type Hash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { StoreError } from '../errors.js';
import { type DiffId, type Digest, digestFromHash } from '../model/digest.js';
import type { Descriptor } from '../model/digest.js';
import {
  type Compression,
  COMPRESSION_MAGIC_BYTES,
  compressionError,
  createDecoder,
  detectCompression,
  ExpansionGuard,
  type ExpansionLimits,
  releasePiece,
} from '../compression/decompress.js';
import { TarScan, type TarScanOptions } from './tar-scan.js';

interface LayerMeasure {
  /** Digest of the whole decompressed content. */
  readonly diffId: DiffId;
  /** Total bytes of the regular files in the tar. */
  readonly diffSize: number;
}

/** Findings from reading a file once. */
export interface Measurement {
  readonly compression: Compression;
  /** The file as is; the media type is that of a layer with this compression. */
  readonly blob: Descriptor;
  /** The error explains why the file is not a layer. */
  readonly layer: LayerMeasure | StoreError;
}

/** Limits for one layer; defaults in limits.ts. */
export interface LayerMeterOptions extends TarScanOptions {
  readonly expansion?: ExpansionLimits | undefined;
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Media type per OCI image spec (media-types.md). Docker writes bzip2 and xz as plain tars. */
function layerMediaType(compression: Compression): string {
  return compression === 'gzip' || compression === 'zstd' ? `${LAYER}+${compression}` : LAYER;
}

/** Creates LAYER_MISMATCH. `layer` is a name or digest in the archive. */
export function layerMismatch(layer: string, expected: DiffId | undefined, found: DiffId): StoreError {
  return new StoreError('LAYER_MISMATCH', `cannot use layer ${layer}: expected diff id ${expected}, found ${found}`, {
    data: { layer, expected, found },
  });
}

/** @throws {StoreError} LAYER_INVALID, COMPRESSION_INVALID or ARCHIVE_LIMIT_EXCEEDED */
export function requireLayer(measurement: Measurement): LayerMeasure {
  if (measurement.layer instanceof StoreError) throw measurement.layer;
  return measurement.layer;
}

/**
 * Measures a file in one pass: its digest and, if it is a layer, diff id and file sizes. Hashes a
 * plain tar once, since both digests are equal. A file that is not a layer is a result, not an
 * error: it matters only if the archive names the file as a layer.
 */
export class LayerMeter {
  readonly #blobHash = createHash('sha256');
  readonly #scan: TarScan;
  readonly #guard: ExpansionGuard;
  #blobBytes = 0;
  #start: Uint8Array = new Uint8Array(0);
  #compression: Compression | undefined;
  #inflation: Inflation | undefined;
  #failure: StoreError | undefined;

  constructor(options: LayerMeterOptions = {}) {
    this.#scan = new TarScan(options);
    this.#guard = new ExpansionGuard(options.expansion);
  }

  /** Takes the next bytes; resolves when ready for more. The caller may then reuse the bytes. */
  async write(chunk: Uint8Array): Promise<void> {
    // The decoder's threads have the chunk while it is hashed here.
    const measuring = this.#take(chunk);
    this.#blobHash.update(chunk);
    this.#blobBytes += chunk.length;
    await measuring;
  }

  async #take(chunk: Uint8Array): Promise<void> {
    if (this.#compression !== undefined) return this.#measure(chunk);
    this.#start = this.#start.length === 0 ? chunk : Buffer.concat([this.#start, chunk]);
    if (this.#start.length >= COMPRESSION_MAGIC_BYTES) return this.#begin();
    // Copied because it outlives this call; `slice` of a Buffer does not copy.
    this.#start = new Uint8Array(this.#start);
  }

  /** Ends the file and returns its measurement. */
  async finish(): Promise<Measurement> {
    if (this.#compression === undefined) await this.#begin();
    const compression = this.#compression ?? 'none';
    await this.#endInflation();
    this.#try(() => this.#scan.end());
    const blobDigest = digestFromHash(this.#blobHash.digest());
    const blob = { digest: blobDigest, size: this.#blobBytes, mediaType: layerMediaType(compression) };
    if (this.#failure !== undefined) return { compression, blob, layer: this.#failure };
    const diffId = (this.#inflation?.digest() ?? blobDigest) as DiffId;
    return { compression, blob, layer: { diffId, diffSize: this.#scan.fileBytes } };
  }

  /** Aborts and frees the decoder; no-op after `finish`. */
  destroy(): void {
    this.#inflation?.destroy();
  }

  async #begin(): Promise<void> {
    const start = this.#start;
    this.#start = new Uint8Array(0);
    this.#compression = detectCompression(start);
    if (this.#compression !== 'none') {
      const take = (bytes: Uint8Array): void => this.#takeTar(bytes);
      this.#inflation = await Inflation.create(this.#compression, take);
    }
    if (start.length > 0) await this.#measure(start);
  }

  async #measure(chunk: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#guard.fed(chunk.length);
    if (this.#inflation === undefined) {
      this.#try(() => this.#takeTar(chunk));
      return;
    }
    this.#fail(await this.#inflation.write(chunk));
  }

  #takeTar(bytes: Uint8Array): void {
    this.#guard.produced(bytes.length);
    this.#scan.push(bytes);
  }

  async #endInflation(): Promise<void> {
    if (this.#inflation === undefined || this.#failure !== undefined) return;
    this.#fail(await this.#inflation.end());
  }

  #try(work: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (error === undefined || this.#failure !== undefined) return;
    this.#failure = layerError(this.#compression ?? 'none', error);
    this.#inflation?.destroy();
  }
}

/** A decoder that hashes and forwards its output. Errors are returned once and end it. */
class Inflation {
  readonly #compression: Compression;
  readonly #decoder: Duplex;
  readonly #hash: Hash = createHash('sha256');
  readonly #take: (bytes: Uint8Array) => void;
  /** Output not hashed yet. */
  #piece: Uint8Array | undefined;
  #failure: unknown;

  private constructor(compression: Compression, decoder: Duplex, take: (bytes: Uint8Array) => void) {
    this.#compression = compression;
    this.#decoder = decoder;
    this.#take = take;
    decoder.on('data', (bytes: Uint8Array) => this.#hold(bytes));
    decoder.on('error', (error: Error) => {
      this.#failure ??= error;
    });
  }

  /** Node's decoders continue on their threads after this event: hash meanwhile, one piece at most. */
  #hold(bytes: Uint8Array): void {
    this.#hashHeld();
    this.#piece = bytes;
    queueMicrotask(() => this.#hashHeld());
  }

  #hashHeld(): void {
    const bytes = this.#piece;
    this.#piece = undefined;
    if (bytes === undefined || this.#failure !== undefined) return;
    try {
      this.#take(bytes);
      this.#hash.update(bytes);
      releasePiece(this.#compression, bytes);
    } catch (error) {
      this.#failure = error;
      this.#decoder.destroy();
    }
  }

  static async create(
    compression: Exclude<Compression, 'none'>,
    take: (bytes: Uint8Array) => void,
  ): Promise<Inflation> {
    return new Inflation(compression, await createDecoder(compression), take);
  }

  /** Resolves when the decoder has processed `chunk` or failed. */
  async write(chunk: Uint8Array): Promise<unknown> {
    await this.#settled((done) => this.#decoder.write(chunk, done));
    this.#hashHeld();
    return this.#failure;
  }

  /** Resolves when all output was produced or the decoder failed. */
  async end(): Promise<unknown> {
    await this.#settled((done) => {
      this.#decoder.once('end', done);
      this.#decoder.end();
    });
    this.#hashHeld();
    return this.#failure;
  }

  /** Waits for the callback of `start`, or for destruction, after which it would never come. */
  #settled(start: (done: () => void) => void): Promise<void> {
    if (this.#decoder.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#decoder.off('close', done);
        resolve();
      };
      this.#decoder.once('close', done);
      start(done);
    });
  }

  digest(): Digest {
    return digestFromHash(this.#hash.digest());
  }

  destroy(): void {
    this.#decoder.destroy();
  }
}

function layerError(compression: Compression, error: unknown): StoreError {
  if (!(error instanceof StoreError)) return compressionError(compression, error);
  if (error.code === 'ARCHIVE_LIMIT_EXCEEDED') return error;
  return new StoreError('LAYER_INVALID', `not a layer: ${error.message}`, { cause: error });
}
