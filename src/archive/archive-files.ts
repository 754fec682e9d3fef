import type { Image } from '../model/image.js';
import { type DiffId, type Digest, digestOf, type ImageId } from '../model/digest.js';
import type { Annotations, PlatformImage } from '../model/events.js';
import type { Descriptor } from '../model/digest.js';
import { aborted, StoreError } from '../errors.js';
import { LayerMeter, type LayerMeterOptions, type Measurement } from './layer-meter.js';

/** Holds archive bytes until their meaning is known. Implemented by the store. */
export interface Staging {
  /** Creates an empty staged file. */
  create(): Promise<WritableStagedFile>;
  /** Stages whole bytes from memory, which must not change. Costs nothing until they are kept. */
  hold(bytes: Uint8Array): StagedFile;
}

/** A staged file. Not durable until the store keeps it. */
export interface StagedFile {
  /** Streams the bytes; valid once all are written. */
  read(): AsyncIterable<Uint8Array>;
  /** Removes the file; no-op once kept or discarded. */
  discard(): Promise<void>;
}

/** A file being staged. */
export interface WritableStagedFile extends StagedFile {
  /** Appends `chunk`; resolves when ready for more. The caller may then reuse the bytes. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends writing. Given the content's digest, staging may start making it durable at once. */
  finish(digest?: Digest): Promise<void>;
}

/** A staged file whose measured content matches the layer it claims to be. */
export interface StagedLayer {
  readonly file: StagedFile;
  /** The file as received. */
  readonly blob: Descriptor;
  /** Total bytes of the regular files in the layer's tar. */
  readonly diffSize: number;
}

interface ArchiveLayer {
  readonly diffId: DiffId;
  /** Absent when missing from the archive; the store must then know the chain. */
  readonly staged?: StagedLayer | undefined;
}

/** An OCI manifest of an image. Its bytes are in `ArchiveContents.content`. */
export interface ArchiveManifest {
  readonly descriptor: Descriptor;
  /** Bottom to top, in manifest order. */
  readonly layers: readonly Descriptor[];
  /** The file for each of `layers`; undefined where missing from the archive. */
  readonly staged: readonly (StagedLayer | undefined)[];
}

/** An image whose config, layers and manifests have been checked against each other. */
export interface ArchiveImage {
  readonly id: ImageId;
  /** The exact config bytes. */
  readonly config: Uint8Array;
  readonly image: Image;
  readonly layers: readonly ArchiveLayer[];
  /** Parent claimed by the archive; the store decides whether to honor it. */
  readonly parent?: ImageId | undefined;
  /** The image's manifests in the archive; the one a name points to directly comes first. */
  readonly manifests: readonly ArchiveManifest[];
  /** One of several platforms: skipped if the archive and the store lack a layer of it. */
  readonly isOptional: boolean;
}

/** A manifest or index kept as it came, because it is no image. */
export interface ArchiveArtifact {
  /** Of the manifest or index; its bytes are in `ArchiveContents.content`. */
  readonly descriptor: Descriptor;
  /** `artifactType`, else the config's media type; empty when neither says. */
  readonly artifactType: string;
  readonly subject?: Descriptor | undefined;
  /** Manifests of an index, in order; empty for a manifest. */
  readonly contains: readonly Descriptor[];
  /** Config and layers of a manifest, in order; of an index, what it names besides manifests. */
  readonly blobs: readonly Descriptor[];
  /** The file for each of `blobs`; undefined where missing from the archive. */
  readonly staged: readonly (StagedFile | undefined)[];
}

/** What a name of the archive points at. */
export interface ArchiveTarget {
  /** The image, or the default one of several platforms; absent if there is none. */
  readonly image?: ImageId | undefined;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Every platform of the index in the archive, also those that were not wanted, in its order. */
  readonly allPlatforms?: readonly PlatformImage[] | undefined;
  /** Annotations of the entry in index.json, without those that name it. */
  readonly annotations?: Annotations | undefined;
  /** Annotations of index.json itself. */
  readonly layoutAnnotations?: Annotations | undefined;
}

/** A name in the archive and its target. */
export interface ArchiveReference extends ArchiveTarget {
  /** Canonical. */
  readonly reference: string;
}

/** Everything the archive holds, complete after its last byte was read. */
export interface ArchiveContents {
  /** Source of the names: `docker` (manifest.json) or `oci` (index.json). */
  readonly format: 'docker' | 'oci';
  /** In archive order, unique by id. */
  readonly images: readonly ArchiveImage[];
  /** In archive order, unique by digest; each after what it contains. */
  readonly artifacts: readonly ArchiveArtifact[];
  /** In archive order, unique by reference: the last one wins, as with Docker. */
  readonly references: readonly ArchiveReference[];
  /** What a name given by the caller may stand for: each image, index or artifact, once. */
  readonly targets: readonly ArchiveTarget[];
  /** Manifests and indexes to keep, by digest. */
  readonly content: ReadonlyMap<Digest, Uint8Array>;
  /** What was skipped and why, as human-readable sentences. */
  readonly notices: readonly string[];
  /** Removes every staged file the store did not keep. */
  discard(): Promise<void>;
}

/**
 * Normalizes a name that is used to a path from the archive root, without `./`, leading, repeated
 * or trailing slashes.
 * @throws {StoreError} ARCHIVE_NAME_UNSAFE if outside the archive or with NUL
 */
export function normalizeEntryName(name: string): string {
  const path = entryPath(name);
  if (path !== undefined) return path;
  throw unsafe(name, name.includes('\0') ? 'a NUL byte' : 'one that leads out of the archive');
}

/** As `normalizeEntryName`; undefined if no use can lead there. The root is the empty path. */
export function entryPath(name: string): string | undefined {
  return name.includes('\0') ? undefined : joinInside('', name);
}

/** A path that resolves to something else: with an empty part, `.` or `..`. */
const UNRESOLVED = /(^|\/)\.{0,2}(\/|$)/;

/** Resolves `path` against `directory`, from the archive root; undefined if it escapes. */
export function joinInside(directory: string, path: string): string | undefined {
  if (directory === '' && !UNRESOLVED.test(path)) return path;
  const parts = directory === '' ? [] : directory.split('/');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Returns the parent directory of `path`. */
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

/** Observes and aborts a byte stream. */
export interface Watch {
  /** Called with the running byte total. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields `source` with its running total until `signal` aborts, even while the source hangs.
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
    // A hanging source would only finish closing after its next bytes, so do not wait for it.
    const closing = Promise.resolve(iterator.return?.()).catch(() => undefined);
    if (!isWaiting) await closing;
  }
}

/** A promise per step: racing against one as long-lived as the signal would leak every step. */
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

/** A file whose digest is known. */
export interface KnownFile {
  readonly file: StagedFile;
  readonly digest: Digest;
  readonly size: number;
  /** What it is as a layer, if that was measured. */
  readonly measurement?: Measurement | undefined;
  /** Hears what it is, if it must be measured. */
  readonly onMeasured?: (measurement: Measurement) => void;
}

/** A regular file of an archive: small in memory, large staged and measured while streaming. */
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
  readonly #onMeasured: KnownFile['onMeasured'];

  private constructor(
    name: string,
    staging: Staging,
    content: Uint8Array | KnownFile,
    meterOptions: LayerMeterOptions,
  ) {
    this.name = name;
    this.#staging = staging;
    this.#meterOptions = meterOptions;
    if (content instanceof Uint8Array) {
      this.#bytes = content;
      this.size = content.length;
      this.digest = digestOf(content);
      return;
    }
    this.#staged = content.file;
    this.#measurement = content.measurement;
    this.#onMeasured = content.onMeasured;
    this.size = content.size;
    this.digest = content.digest;
  }

  /** Creates a file whose bytes are elsewhere already, as those of a push; measures it if nobody has. */
  static known(name: string, file: KnownFile, staging: Staging): ArchiveFile {
    return new ArchiveFile(name, staging, file, {});
  }

  /** Creates a file kept in memory; takes ownership of `bytes`. */
  static inMemory(
    name: string,
    bytes: Uint8Array,
    staging: Staging,
    meterOptions: LayerMeterOptions = {},
  ): ArchiveFile {
    return new ArchiveFile(name, staging, bytes, meterOptions);
  }

  /** Stages and measures `body` in one pass; hashing each chunk overlaps its write. */
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
      const { digest, size } = measurement.blob;
      return new ArchiveFile(name, staging, { file, digest, size, measurement }, meterOptions);
    } finally {
      meter.destroy();
    }
  }

  /** @throws {StoreError} `code` if the file exceeds `maxBytes` */
  checkSize(maxBytes: number, code: 'ARCHIVE_LIMIT_EXCEEDED' | 'CONFIG_TOO_LARGE'): void {
    if (this.size <= maxBytes) return;
    throw new StoreError(code, `cannot read ${this.name}: expected at most ${maxBytes} bytes, found ${this.size}`, {
      data: { name: this.name, limit: maxBytes, found: this.size },
    });
  }

  /** Reads the whole file into memory; check its size first. */
  async read(): Promise<Uint8Array> {
    if (this.#bytes !== undefined) return this.#bytes;
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.staged().read()) chunks.push(new Uint8Array(chunk));
    return Buffer.concat(chunks);
  }

  /** Measures the file as a layer; cached. */
  async measure(): Promise<Measurement> {
    if (this.#measurement === undefined) {
      const meter = new LayerMeter(this.#meterOptions);
      try {
        if (this.#bytes !== undefined) await meter.write(this.#bytes);
        else for await (const chunk of this.staged().read()) await meter.write(chunk);
        this.#measurement = await meter.finish();
        this.#onMeasured?.(this.#measurement);
      } finally {
        meter.destroy();
      }
    }
    return this.#measurement;
  }

  /** Returns the staged file; that of an in-memory file holds its bytes. */
  staged(): StagedFile {
    this.#staged ??= this.#staging.hold(this.#bytes ?? new Uint8Array(0));
    return this.#staged;
  }
}

/** Tracks its staged files so that none leaks on any path. */
export class TrackedStaging implements Staging {
  readonly #staging: Staging;
  readonly #files = new Set<StagedFile>();

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  async create(): Promise<WritableStagedFile> {
    const file = await this.#staging.create();
    this.#files.add(file);
    return file;
  }

  hold(bytes: Uint8Array): StagedFile {
    const file = this.#staging.hold(bytes);
    this.#files.add(file);
    return file;
  }

  /** Discards all files except `keep`. Tries every file, then throws the first failure. */
  async discard(keep: ReadonlySet<StagedFile> = new Set()): Promise<void> {
    const unneeded = [...this.#files].filter((file) => !keep.has(file));
    for (const file of unneeded) this.#files.delete(file);
    const results = await Promise.allSettled(unneeded.map((file) => file.discard()));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}
