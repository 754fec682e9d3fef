import type { OptionNames } from '../model/option-names.js';
import type { Readable } from 'node:stream';
import type { ReferenceEntry } from '../../projections/references.js';
import type { Head } from '../log/log.js';
import type { ChainId, Descriptor, DiffId, Digest, ImageId } from '../model/digest.js';
import type { LayerFacts } from '../model/events.js';
import type { Image } from '../model/image.js';
import type { Platform } from '../model/platform.js';
import type { CheckpointSigner } from './keys.js';

export type { Head, ReferenceEntry };

/** Who makes a write, why, from where and how; recorded in the envelope of its events. */
export interface WriteOptions {
  /** Overrides the actor the store was opened with. */
  readonly actor?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** What the write came through, a short word: `registry`, `mirror`, `http`; at most 64 bytes. */
  readonly via?: string | undefined;
  /** Address of the client, at most 255 bytes. */
  readonly address?: string | undefined;
  /** `User-Agent` of the client, at most 512 bytes. */
  readonly agent?: string | undefined;
  /** `traceparent` of the client (W3C Trace Context), at most 256 bytes; kept as it is. */
  readonly traceparent?: string | undefined;
}

/** Names of `WriteOptions`. */
export const writeOptionNames: OptionNames<WriteOptions> = {
  actor: true,
  reason: true,
  requestId: true,
  via: true,
  address: true,
  agent: true,
  traceparent: true,
};

/** A layer released by deleting an image; lists of them are ordered top first. */
export type LayerMetadata = Pick<LayerFacts, 'chainId' | 'diffId' | 'size' | 'diffSize'>;

/** A held layer. It is kept until every holder releases it and no image or layer uses it. */
export interface Layer {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly parent?: Layer | undefined;
  /** Bytes of the regular files in the chain up to this layer. */
  readonly size: number;
  /** Bytes of the regular files in this layer. */
  readonly diffSize: number;
  /** Returns the uncompressed tar: the bytes whose digest is `diffId`. */
  tarStream(): Readable;
}

/**
 * The layer operations an image store needs, as in the Go package's LayerGetReleaser. Implement it
 * to keep layers elsewhere.
 */
export interface LayerGetReleaser {
  /** Returns the layer and adds a hold. May throw anything for a missing layer. */
  get(chainId: ChainId): Layer | Promise<Layer>;
  /** Drops one hold and returns the layers removed as a result. */
  release(layer: Layer): readonly LayerMetadata[] | Promise<readonly LayerMetadata[]>;
}

/** The store's own layers. */
export interface LayerStore extends LayerGetReleaser {
  /**
   * Adds the layer in `stream`, a plain or compressed tar, on top of `parent`. The caller holds it
   * until `release`. No-op for a layer that already exists.
   */
  register(stream: AsyncIterable<Uint8Array>, parent?: ChainId, options?: WriteOptions): Promise<Layer>;
  get(chainId: ChainId): Layer;
  /** Returns all current layers, without holding them. */
  map(): ReadonlyMap<ChainId, Layer>;
  release(layer: Layer, options?: WriteOptions): Promise<readonly LayerMetadata[]>;
}

/**
 * The image store, with the members of Docker's `image.Store` in camelCase. Reads are synchronous
 * and see only durable data; writes resolve once durable.
 *
 * Every write may also reject with OUTCOME_UNKNOWN (it failed; the message says what survived),
 * LOG_FAILED, STORE_READ_ONLY, STORE_CLOSED and ENVELOPE_INVALID; every read may throw
 * STORE_CLOSED.
 */
export interface Store {
  /**
   * Adds the image with this config and returns its id. Copies the bytes. No-op for an image that
   * already exists.
   * @throws {StoreError} CONFIG_INVALID, CONFIG_TOO_LARGE, HISTORY_INVALID, DIGEST_INVALID,
   *   OS_UNSUPPORTED, LAYER_MISSING
   */
  create(config: Uint8Array, options?: WriteOptions): Promise<ImageId>;
  /**
   * Returns an image. Reads its config and checks it against the id; decodes fields on access.
   * @throws {StoreError} IMAGE_NOT_FOUND, CONTENT_CORRUPT, CONFIG_INVALID
   */
  get(id: ImageId): Image;
  /**
   * Deletes an image in one transaction: clears the parent of its children, removes its references,
   * the artifacts only it held and the layers nothing else uses, and returns those layers. Reads of the past still see the
   * config. With `onlyNames`, canonical references, refuses when it has others or children: for a
   * caller who looked before, while others write.
   * @throws {StoreError} IMAGE_NOT_FOUND, IMAGE_IN_USE
   */
  delete(
    id: ImageId,
    options?: WriteOptions & { readonly onlyNames?: readonly string[] | undefined },
  ): Promise<readonly LayerMetadata[]>;
  /**
   * Returns the only id that equals or starts with `partial`, with or without `sha256:`; if none
   * does, the image of the only manifest, or the first of the only index, whose digest does.
   * @throws {StoreError} IMAGE_NOT_FOUND, also without any digits; ID_AMBIGUOUS, with two
   *   candidates
   */
  search(partial: string): ImageId;
  /**
   * Sets or replaces the parent of `id`.
   * @throws {StoreError} PARENT_NOT_FOUND, IMAGE_NOT_FOUND, PARENT_CYCLE
   */
  setParent(id: ImageId, parent: ImageId, options?: WriteOptions): Promise<void>;
  /**
   * Returns the parent of `id`.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND when it has none
   */
  getParent(id: ImageId): ImageId;
  /** Sets the image's last update to the store's time now. @throws {StoreError} IMAGE_NOT_FOUND */
  setLastUpdated(id: ImageId, options?: WriteOptions): Promise<void>;
  /** Returns the time of the last update; undefined without one or for an unknown image. */
  getLastUpdated(id: ImageId): Date | undefined;
  /** Marks the image as built locally. @throws {StoreError} IMAGE_NOT_FOUND */
  setBuiltLocally(id: ImageId, options?: WriteOptions): Promise<void>;
  /** Whether the image is marked as built locally; false for an unknown image. */
  isBuiltLocally(id: ImageId): boolean;
  /** Returns the children of `id`, sorted; empty for an unknown image. */
  children(id: ImageId): ImageId[];
  /** Returns all current images in creation order. The event store reads each on access. */
  map(): ReadonlyMap<ImageId, Image>;
  /** Returns the images that have no children, as `map` does. */
  heads(): ReadonlyMap<ImageId, Image>;
  /** Returns the number of images. */
  len(): number;
}

/** The read-only image members of a store, all answering as of one seq. */
export type ImageReads = Pick<
  Store,
  'get' | 'search' | 'getParent' | 'getLastUpdated' | 'isBuiltLocally' | 'children' | 'map' | 'heads' | 'len'
>;

/** Visits one image of a walk; a throw stops the walk. */
export type DigestWalkFunc = (digest: Digest) => void;

/**
 * Storage of configs and metadata for an image store, as in the Go package's StoreBackend. Reads
 * are synchronous; writes resolve once durable.
 */
export interface StoreBackend {
  /** Calls `visit` with the digest of every image. */
  walk(visit: DigestWalkFunc): void;
  /**
   * Returns the bytes of a config.
   * @throws {StoreError} IMAGE_NOT_FOUND, CONTENT_CORRUPT when they do not match the digest
   */
  get(digest: Digest): Uint8Array;
  /**
   * Stores a config and returns its digest.
   * @throws {StoreError} CONFIG_INVALID for data the backend does not accept
   */
  set(data: Uint8Array): Promise<Digest>;
  /** Removes a config and its metadata. @throws {StoreError} IMAGE_NOT_FOUND */
  delete(digest: Digest): Promise<void>;
  /**
   * Sets a metadata value: a file named `key` in Docker's layout.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_INVALID
   */
  setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void>;
  /**
   * Returns a metadata value.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID
   */
  getMetadata(digest: Digest, key: string): Uint8Array;
  /** Removes a metadata value; no-op without one. @throws {StoreError} METADATA_INVALID */
  deleteMetadata(digest: Digest, key: string): Promise<void>;
}

/** Options of `load`. */
export interface LoadOptions extends WriteOptions {
  /** Load only images for these, each a Platform or `os/arch[/variant]`; skip others with a notice. */
  readonly platform?: Platform | string | readonly (Platform | string)[] | undefined;
  /** Refuse an archive that lacks a platform its index names; default: skip with a notice. */
  readonly allPlatforms?: boolean | undefined;
  /** `false` refuses a load that would move a reference; default true. */
  readonly overwrite?: boolean | undefined;
  /** Another reference to set, for an archive with a single image, index or artifact. */
  readonly tag?: string | undefined;
  /** Repository of names that are only a tag, as oras, umoci, podman and skopeo write them. */
  readonly repository?: string | undefined;
  /** Called as bytes of the archive are read. `total` is known for files only. */
  readonly onProgress?: ((bytes: number, total: number | undefined) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names of `LoadOptions`. */
export const loadOptionNames: OptionNames<LoadOptions> = {
  ...writeOptionNames,
  platform: true,
  allPlatforms: true,
  overwrite: true,
  tag: true,
  repository: true,
  onProgress: true,
  signal: true,
};

/** The outcome of a load. */
export interface LoadResult {
  readonly format: 'docker' | 'oci';
  readonly images: readonly LoadedImage[];
  readonly references: readonly LoadedReference[];
  readonly artifacts: readonly LoadedArtifact[];
  /** Number of layers the store did not have. */
  readonly layersAdded: number;
  readonly notices: readonly string[];
  /** Seq of the load's last event; of the head when nothing changed. */
  readonly seq: number;
}

/** An image in a loaded archive. */
export interface LoadedImage {
  readonly id: ImageId;
  /** False when the store already had it. */
  readonly created: boolean;
  readonly parent?: ImageId | undefined;
  readonly platform: Platform;
  /** Digest of its manifest in the archive. */
  readonly manifest?: Digest | undefined;
}

/** A reference in a loaded archive. */
export interface LoadedReference {
  readonly reference: string;
  /** Absent for an artifact or an index without images. */
  readonly image?: ImageId | undefined;
  /** The image it resolved to before, if the load changed that image or one of its platforms. */
  readonly previous?: ImageId | undefined;
  /** The artifact or index without images that it stands for. */
  readonly artifact?: Digest | undefined;
  /** The artifact or index without images that it stood for before, if the load changed that. */
  readonly previousArtifact?: Digest | undefined;
}

/** An artifact in a loaded archive. */
export interface LoadedArtifact {
  readonly digest: Digest;
  /** `artifactType`, else the media type of its config; empty if neither says. */
  readonly artifactType: string;
  /** Digest of what it is about. */
  readonly subject?: Digest | undefined;
  /** False when the store already had it. */
  readonly created: boolean;
}

/** Options of `save`. */
export interface SaveOptions {
  readonly format?: 'docker' | 'oci' | undefined;
  /** Save only images for these, with a smaller index; each a Platform or `os/arch[/variant]`. */
  readonly platform?: Platform | string | readonly (Platform | string)[] | undefined;
  /** Called with a sentence for each part that is not saved as it came. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /** Called as bytes of the archive are produced. `total` is exact. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names of `SaveOptions`. */
export const saveOptionNames: OptionNames<SaveOptions> = {
  format: true,
  platform: true,
  onNotice: true,
  onProgress: true,
  signal: true,
};

/** Options of `savedContents`. */
export type SavedContentsOptions = Pick<SaveOptions, 'platform' | 'onNotice'>;

/** Names of `SavedContentsOptions`. */
export const savedContentsOptionNames: OptionNames<SavedContentsOptions> = { platform: true, onNotice: true };

/** A manifest or index, as `save` writes it, with all that it leads to. */
export interface SavedTree {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Config and layers of a manifest; of an index, what it names besides manifests. */
  readonly blobs: readonly Descriptor[];
  readonly parts: readonly SavedTree[];
}

/** What `save` writes of some names, to be read one by one. */
export interface SavedContents {
  /** What the names stand for. */
  readonly roots: readonly SavedTree[];
  /** Signatures and other artifacts about the roots and their parts. */
  readonly referrers: readonly SavedTree[];
  /** Streams a blob of a tree; its chunks are the caller's. Fails with BLOB_CORRUPT, BLOB_MISSING. */
  open(digest: Digest): AsyncIterable<Uint8Array>;
  /** Lets go of the blobs, which are not removed before. */
  release(): void;
}

/** Options of `resolve`. */
export interface ResolveOptions {
  /** Picks a platform of a multi-platform reference: a Platform or `os/arch[/variant]`. */
  readonly platform?: Platform | string | undefined;
}

/** Names of `ResolveOptions`. */
export const resolveOptionNames: OptionNames<ResolveOptions> = { platform: true };

/** Limits of uploads; defaults in limits.ts. */
export interface UploadLimits {
  /** Bytes of one upload. */
  readonly uploadBytes: number;
  /** Uploads in progress. */
  readonly uploads: number;
  readonly uploadsPerOwner: number;
  /** Bytes of uploads in progress and of staged blobs. */
  readonly bytes: number;
  readonly bytesPerOwner: number;
  /** Staged blobs, counted in each repository. */
  readonly blobs: number;
  readonly blobsPerOwner: number;
  readonly repositoriesPerBlob: number;
  /** Milliseconds after the last use of an upload or a staged blob. */
  readonly expiryMs: number;
  /** Uploads between two requests whose digests are kept in memory. */
  readonly idleMeters: number;
}

/** Limits of uploads to change; those that are undefined keep their defaults. */
export type UploadOptions = { readonly [Name in keyof UploadLimits]?: number | undefined };

/** Options of `openStore`. Values of a wrong type throw a TypeError. */
export interface OpenOptions {
  /** Create the store if missing; default true. */
  readonly create?: boolean | undefined;
  /**
   * Open the store as of now and write nothing, no lock and no file. Others may read and write it
   * meanwhile; their changes are not seen. Default false.
   */
  readonly readOnly?: boolean | undefined;
  /**
   * Open even on a full disk, using the store's reserved space; for a program about to delete,
   * erase or prune. Default false.
   */
  readonly useReserve?: boolean | undefined;
  /**
   * Milliseconds to wait while another process has the store open for writing; then STORE_LOCKED.
   * `signal` ends the wait. Default 0: fail at once.
   */
  readonly lockTimeoutMs?: number | undefined;
  /** Default actor of writes; default `user@host`. */
  readonly actor?: string | undefined;
  /**
   * The log's name in checkpoints, fixed at creation; default `imagelog/` and the store id. Also
   * names the key: no spaces, no plus, at most 255 bytes.
   */
  readonly origin?: string | undefined;
  /**
   * Signs the checkpoints; from `readSigner`. Opening for writing without it replaces them with
   * unsigned ones. A read-only store uses it only to check them.
   */
  readonly signer?: CheckpointSigner | undefined;
  /** The operating system images must be for: `any` (default), `host`, or a GOOS name. */
  readonly os?: 'any' | 'host' | (string & {}) | undefined;
  /** A layer store to use instead of the store's own (default), or `none` to keep configs only. */
  readonly layers?: LayerGetReleaser | 'none' | undefined;
  /** The clock, in milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Limits of what is uploaded to repositories, before a manifest names it; each has a default. */
  readonly uploads?: UploadOptions | undefined;
  /** Events between background snapshots of the views; 0 for none. Default 50,000. */
  readonly snapshotEvery?: number | undefined;
  /**
   * Receives problems that did no harm, such as a skipped snapshot; default a process warning. If
   * it throws, that is an uncaught exception; the store is unaffected.
   */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /**
   * Called as the open replays the events after the newest snapshot, with those replayed and all of
   * them. If it throws, so does the open.
   */
  readonly onProgress?: ((events: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names of `OpenOptions`. */
export const openOptionNames: OptionNames<OpenOptions> = {
  onProgress: true,
  lockTimeoutMs: true,
  create: true,
  readOnly: true,
  useReserve: true,
  actor: true,
  origin: true,
  signer: true,
  os: true,
  layers: true,
  now: true,
  snapshotEvery: true,
  uploads: true,
  onNotice: true,
  signal: true,
};
