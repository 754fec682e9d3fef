import { createHash } from 'node:crypto';
import { StoreError } from '../errors.js';
import { type Digest, digestFromHash } from '../model/digest.js';
import { LayerMeter, type LayerMeterOptions, type Measurement } from '../tar/layer-meter.js';
import type { StagedFile, Staging } from './archive.js';

/** A regular file of an archive: small ones in memory, large ones staged and measured as they passed by. */
export class ArchiveFile {
  /** Path from the archive's root. */
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
  readonly #staging: Staging;
  readonly #meterOptions: LayerMeterOptions;
  readonly #bytes: Uint8Array | undefined;
  #staged: StagedFile | undefined;
  #measurement: Measurement | undefined;

  private constructor(
    name: string,
    staging: Staging,
    content: Uint8Array | { readonly file: StagedFile; readonly measurement: Measurement },
    meterOptions: LayerMeterOptions,
  ) {
    this.name = name;
    this.#staging = staging;
    this.#meterOptions = meterOptions;
    if (content instanceof Uint8Array) {
      this.#bytes = content;
      this.size = content.length;
      this.digest = digestFromHash(createHash('sha256').update(content).digest());
      return;
    }
    this.#staged = content.file;
    this.#measurement = content.measurement;
    this.size = content.measurement.blob.size;
    this.digest = content.measurement.blob.digest;
  }

  /** Returns a file that is kept in memory; it owns `bytes` from now on. */
  static inMemory(
    name: string,
    bytes: Uint8Array,
    staging: Staging,
    meterOptions: LayerMeterOptions = {},
  ): ArchiveFile {
    return new ArchiveFile(name, staging, bytes, meterOptions);
  }

  /** Stages `body` and measures it in the same pass; each chunk is hashed while it is being written. */
  static async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    staging: Staging,
    meterOptions: LayerMeterOptions = {},
  ): Promise<ArchiveFile> {
    const file = await staging.create();
    const meter = new LayerMeter(meterOptions);
    try {
      for await (const chunk of body) await Promise.all([file.write(chunk), meter.write(chunk)]);
      const measurement = await meter.finish();
      await file.finish(measurement.blob.digest);
      return new ArchiveFile(name, staging, { file, measurement }, meterOptions);
    } finally {
      meter.destroy();
    }
  }

  /** @throws {StoreError} `code` when the file has more than `maxBytes` */
  checkSize(maxBytes: number, code: 'ARCHIVE_LIMIT_EXCEEDED' | 'CONFIG_TOO_LARGE'): void {
    if (this.size <= maxBytes) return;
    throw new StoreError(code, `cannot read ${this.name}: expected at most ${maxBytes} bytes, found ${this.size}`, {
      data: { name: this.name, limit: maxBytes, found: this.size },
    });
  }

  /** Returns the bytes of the file, all of them in memory: check their size first. */
  async read(): Promise<Uint8Array> {
    if (this.#bytes !== undefined) return this.#bytes;
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await this.staged()).read()) chunks.push(new Uint8Array(chunk));
    return Buffer.concat(chunks);
  }

  /** Returns what the file is as a layer. */
  async measure(): Promise<Measurement> {
    if (this.#measurement === undefined) {
      const meter = new LayerMeter(this.#meterOptions);
      try {
        await meter.write(this.#bytes ?? new Uint8Array(0));
        this.#measurement = await meter.finish();
      } finally {
        meter.destroy();
      }
    }
    return this.#measurement;
  }

  /** Returns the file in the staging area; one that is in memory is written there, once. */
  async staged(): Promise<StagedFile> {
    if (this.#staged === undefined) {
      const file = await this.#staging.create();
      if (this.size > 0) await file.write(this.#bytes ?? new Uint8Array(0));
      await file.finish();
      this.#staged = file;
    }
    return this.#staged;
  }
}
