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
} from './decompress.js';
import { TarScan, type TarScanOptions } from './tar-scan.js';

/** What a file is as a layer. */
interface LayerMeasure {
  /** Digest of the decompressed bytes, all of them. */
  readonly diffId: DiffId;
  /** Bytes of the regular files in the tar. */
  readonly diffSize: number;
}

/** What was found out about a file by reading it once. */
export interface Measurement {
  readonly compression: Compression;
  /** The file as it is; its media type says what a layer of this compression has. */
  readonly blob: Descriptor;
  /** Why the file is no layer, when it is none. */
  readonly layer: LayerMeasure | StoreError;
}

/** Limits of one layer; each default is in limits.ts. */
export interface LayerMeterOptions extends TarScanOptions {
  readonly expansion?: ExpansionLimits | undefined;
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/**
 * Returns the media type of a layer file (OCI image spec, media-types.md).
 * bzip2 and xz have none of their own; Docker writes such layers as plain tars.
 */
function layerMediaType(compression: Compression): string {
  return compression === 'gzip' || compression === 'zstd' ? `${LAYER}+${compression}` : LAYER;
}

/**
 * Returns the layer that `measurement` found.
 * @throws {StoreError} LAYER_INVALID, COMPRESSION_INVALID or ARCHIVE_LIMIT_EXCEEDED when the file is none
 */
export function requireLayer(measurement: Measurement): LayerMeasure {
  if (measurement.layer instanceof StoreError) throw measurement.layer;
  return measurement.layer;
}

/**
 * Measures a file while its bytes pass by once: the digest of the file, and
 * when it is a layer, the digest and file sizes of its tar. The bytes of a
 * plain tar are hashed once, since both digests are the same.
 *
 * That a file is no layer is an answer, not an error: in an archive it only
 * matters when somebody names the file as one.
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

  /** Takes the next bytes of the file; resolves when it takes more. The bytes may be reused after that. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#blobHash.update(chunk);
    this.#blobBytes += chunk.length;
    if (this.#compression !== undefined) return this.#measure(chunk);
    this.#start = this.#start.length === 0 ? chunk : Buffer.concat([this.#start, chunk]);
    if (this.#start.length >= COMPRESSION_MAGIC_BYTES) return this.#begin();
    // Kept until the next call, so it must be a copy, which `slice` of a Buffer is not.
    this.#start = new Uint8Array(this.#start);
  }

  /** Ends the file and tells what it is. */
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

  /** Gives up: frees the decoder. Nothing happens after `finish`. */
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

/** A decoder whose output is hashed and handed on as it comes. Errors are returned, once, and end it. */
class Inflation {
  readonly #decoder: Duplex;
  readonly #hash: Hash = createHash('sha256');
  #failure: unknown;

  private constructor(decoder: Duplex, take: (bytes: Uint8Array) => void) {
    this.#decoder = decoder;
    decoder.on('data', (bytes: Uint8Array) => {
      if (this.#failure !== undefined) return;
      try {
        take(bytes);
        this.#hash.update(bytes);
      } catch (error) {
        this.#failure = error;
        decoder.destroy();
      }
    });
    decoder.on('error', (error: Error) => {
      this.#failure ??= error;
    });
  }

  static async create(
    compression: Exclude<Compression, 'none'>,
    take: (bytes: Uint8Array) => void,
  ): Promise<Inflation> {
    return new Inflation(await createDecoder(compression), take);
  }

  /** Resolves when the decoder is done with `chunk`, or failed. */
  async write(chunk: Uint8Array): Promise<unknown> {
    await this.#settled((done) => this.#decoder.write(chunk, done));
    return this.#failure;
  }

  /** Resolves when the last byte came out, or the decoder failed. */
  async end(): Promise<unknown> {
    await this.#settled((done) => {
      this.#decoder.once('end', done);
      this.#decoder.end();
    });
    return this.#failure;
  }

  /** Waits for `start` to call back, or for the decoder to be destroyed: after that nothing calls back. */
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

/** Names what is wrong with a layer: its compression, its size, or that it is no tar. */
function layerError(compression: Compression, error: unknown): StoreError {
  if (!(error instanceof StoreError)) return compressionError(compression, error);
  if (error.code === 'ARCHIVE_LIMIT_EXCEEDED') return error;
  return new StoreError('LAYER_INVALID', `not a layer: ${error.message}`, { cause: error });
}
