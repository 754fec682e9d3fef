import { createHash } from 'node:crypto';
import type { Image } from '../model/image.js';
import { type DiffId, type Digest, digestFromHash, type ImageId } from '../model/digest.js';
import type { PlatformImage } from '../model/events.js';
import type { Descriptor } from '../model/digest.js';
import { aborted, StoreError } from '../errors.js';
import { LayerMeter, type LayerMeterOptions, type Measurement } from '../tar/layer-meter.js';

/**
 * Where the bytes of an archive wait until it is known what they are. The
 * store implements it; an archive reader only writes, reads back and discards.
 */
export interface Staging {
  /** Opens a new, empty staged file. */
  create(): Promise<StagedFile>;
}

/** One file being staged. Not durable until the store keeps it. */
export interface StagedFile {
  /** Appends `chunk`; resolves when more may be written. The bytes may be reused after that. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends writing. With the digest of all that was written, a staging area may begin at once to make it durable. */
  finish(digest?: Digest): Promise<void>;
  /** The bytes written so far, in chunks; after `finish`. */
  read(): AsyncIterable<Uint8Array>;
  /** Removes the file; nothing happens when it was kept or discarded already. */
  discard(): Promise<void>;
}

/** A staged file that was measured and proved to be the layer it claims to be. */
export interface StagedLayer {
  readonly file: StagedFile;
  /** The file as received. */
  readonly blob: Descriptor;
  /** Bytes of the regular files in the layer's tar. */
  readonly diffSize: number;
}

/** One position of an image's root filesystem. */
interface ArchiveLayer {
  readonly diffId: DiffId;
  /** Absent when the archive does not hold it: then the store must know the chain. */
  readonly staged?: StagedLayer | undefined;
}

/** An OCI manifest that came with an image. Its bytes are in `ArchiveContents.content`. */
export interface ArchiveManifest {
  readonly descriptor: Descriptor;
  /** From the bottom up, as the manifest writes them. */
  readonly layers: readonly Descriptor[];
  /** The file of each of `layers`; undefined where the archive does not hold it. */
  readonly staged: readonly (StagedLayer | undefined)[];
}

/** One image of an archive, checked: config, layers and manifest fit together. */
export interface ArchiveImage {
  readonly id: ImageId;
  /** The exact config bytes. */
  readonly config: Uint8Array;
  readonly image: Image;
  readonly layers: readonly ArchiveLayer[];
  /** The parent that the archive claims; whether it is honoured is the store's decision. */
  readonly parent?: ImageId | undefined;
  /** The manifests that the archive holds of it: first the one that a name stands for directly. */
  readonly manifests: readonly ArchiveManifest[];
}

/** One name of an archive and what it stands for. */
export interface ArchiveReference {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/** All that an archive holds, decided after its last byte was seen. */
export interface ArchiveContents {
  /** Which layout gave the names: `docker` (manifest.json) or `oci` (index.json). */
  readonly format: 'docker' | 'oci';
  /** In the archive's order, each id once. */
  readonly images: readonly ArchiveImage[];
  /** In the archive's order, each reference once: the last one wins, as with Docker. */
  readonly references: readonly ArchiveReference[];
  /** Bytes of the manifests and indexes to keep, by digest. */
  readonly content: ReadonlyMap<Digest, Uint8Array>;
  /** What was passed over and why, as sentences for a person. */
  readonly notices: readonly string[];
  /** Removes every staged file that was not kept. */
  discard(): Promise<void>;
}

/**
 * Returns the name of an archive entry as a path from the archive's root,
 * without `./`, doubled slashes and slashes at the end; the root itself is
 * the empty path.
 *
 * @throws {StoreError} ARCHIVE_NAME_UNSAFE for an absolute name, one that leads out of the archive, one with NUL
 */
export function normalizeEntryName(name: string): string {
  if (name.includes('\0')) throw unsafe(name, 'a NUL byte');
  if (name.startsWith('/')) throw unsafe(name, 'an absolute name');
  const path = joinInside('', name);
  if (path === undefined) throw unsafe(name, 'one that leads out of the archive');
  return path;
}

/** Returns `path` seen from `directory`, both from the archive's root, or undefined when it leads out of it. */
export function joinInside(directory: string, path: string): string | undefined {
  const parts = directory === '' ? [] : directory.split('/');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Returns the path of the directory that holds `path`. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function unsafe(name: string, found: string): StoreError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new StoreError(
    'ARCHIVE_NAME_UNSAFE',
    `cannot read the archive: expected names inside it, found ${found}: ${shown}`,
    { data: { name: name.slice(0, 200) } },
  );
}

/** What watches bytes pass by. */
export interface Watch {
  /** Called with the bytes so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives the bytes of `source`, telling how many they are so far, until `signal` aborts, also while the source gives nothing.
 * @throws {StoreError} ABORTED
 */
export async function* abortable(source: AsyncIterable<Uint8Array>, watch: Watch): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let bytes = 0;
  let isWaiting = false;
  try {
    for (;;) {
      isWaiting = true;
      const next = await nextUnlessAborted(iterator, watch.signal);
      isWaiting = false;
      if (next.done) return;
      bytes += next.value.length;
      watch.onBytes?.(bytes);
      yield next.value;
    }
  } finally {
    // A source that hangs would answer only after its next bytes, so then its closing is not waited for.
    const closing = Promise.resolve(iterator.return?.()).catch(() => undefined);
    if (!isWaiting) await closing;
  }
}

/** A promise of its own for each step: racing with one that lives as long as the signal would keep every step alive. */
function nextUnlessAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<T, unknown>> {
  if (signal === undefined) return iterator.next();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

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

/** A staging area that remembers its files, so that none is left behind whatever happens. */
export class TrackedStaging implements Staging {
  readonly #staging: Staging;
  readonly #files = new Set<StagedFile>();

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  async create(): Promise<StagedFile> {
    const file = await this.#staging.create();
    this.#files.add(file);
    return file;
  }

  /**
   * Discards every file but those in `keep`. Each is tried even when another
   * fails; the first failure is thrown at the end.
   */
  async discard(keep: ReadonlySet<StagedFile> = new Set()): Promise<void> {
    const unneeded = [...this.#files].filter((file) => !keep.has(file));
    for (const file of unneeded) this.#files.delete(file);
    const results = await Promise.allSettled(unneeded.map((file) => file.discard()));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}
