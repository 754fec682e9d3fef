import type { Readable } from 'node:stream';
import type { ReferenceEntry } from '../../projections/references.js';
import type { Head } from '../log/log.js';
import type { ChainId, DiffId, Digest, ImageId } from '../model/digest.js';
import type { LayerFacts } from '../model/events.js';
import type { Image } from '../model/image.js';
import type { Platform } from '../model/platform.js';
import type { CheckpointSigner } from './keys.js';

export type { Head, ReferenceEntry };

/** Who does a write and why; goes into the envelope of its events. */
export interface WriteOptions {
  /** Overrides the actor that the store was opened with. */
  readonly actor?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
}

/** What the deletion of an image released: the facts of each layer that went with it, top first. */
export type LayerMetadata = Pick<LayerFacts, 'chainId' | 'diffId' | 'size' | 'diffSize'>;

/** A layer that a caller holds. It stays until every holder released it and no image and no layer uses it. */
export interface Layer {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly parent?: Layer | undefined;
  /** Bytes of the regular files of the chain up to here. */
  readonly size: number;
  /** Bytes of the regular files of this layer. */
  readonly diffSize: number;
  /** The layer's uncompressed tar, the same bytes whose digest is `diffId`. */
  tarStream(): Readable;
}

/**
 * The part of a layer store that an image store needs, as the Go package's
 * LayerGetReleaser. Implement it to keep layers elsewhere.
 */
export interface LayerGetReleaser {
  /** Returns the layer, which the caller now holds. May throw anything for a layer it lacks. */
  get(chainId: ChainId): Layer | Promise<Layer>;
  /** Gives up one hold and tells which layers went. */
  release(layer: Layer): readonly LayerMetadata[] | Promise<readonly LayerMetadata[]>;
}

/** The store's own layers. */
export interface LayerStore extends LayerGetReleaser {
  /**
   * Adds the layer that `stream` holds, a tar, plain or compressed, on top of
   * `parent`; the caller holds it until `release`. A layer that is there already is not added again.
   */
  register(stream: AsyncIterable<Uint8Array>, parent?: ChainId, options?: WriteOptions): Promise<Layer>;
  get(chainId: ChainId): Layer;
  /** Returns every layer of this moment; they are looked at, not held. */
  map(): ReadonlyMap<ChainId, Layer>;
  release(layer: Layer, options?: WriteOptions): Promise<readonly LayerMetadata[]>;
}

/**
 * The image store, with the members of Docker's `image.Store` in camelCase.
 * Reads are synchronous and never see what is not durable; writes resolve when durable.
 *
 * Every write may also reject with OUTCOME_UNKNOWN (it failed, and the error says what survived), LOG_FAILED, STORE_READ_ONLY,
 * STORE_CLOSED and ENVELOPE_INVALID; every read may throw STORE_CLOSED.
 */
export interface Store {
  /**
   * Adds the image whose config is `config`, and returns its id; the bytes are copied. An image that is there already is
   * not added again, and writes nothing.
   * @throws {StoreError} CONFIG_INVALID, CONFIG_TOO_LARGE, HISTORY_INVALID, DIGEST_INVALID, OS_UNSUPPORTED, LAYER_MISSING
   */
  create(config: Uint8Array, options?: WriteOptions): Promise<ImageId>;
  /**
   * Returns an image. Its config is read and checked against the id; its fields are decoded when they are asked for.
   * @throws {StoreError} IMAGE_NOT_FOUND, CONTENT_CORRUPT, CONFIG_INVALID
   */
  get(id: ImageId): Image;
  /**
   * Deletes an image in one transaction: its children lose their parent, its references go, and the layers that nothing
   * else needs, which are returned. The config stays readable in the log's past.
   * @throws {StoreError} IMAGE_NOT_FOUND
   */
  delete(id: ImageId, options?: WriteOptions): Promise<readonly LayerMetadata[]>;
  /**
   * Returns the one id that `partial` is or begins: with `sha256:` or without.
   * @throws {StoreError} IMAGE_NOT_FOUND, also for no digits at all; ID_AMBIGUOUS, with two candidates
   */
  search(partial: string): ImageId;
  /**
   * Makes `parent` the parent of `id`, in place of any other.
   * @throws {StoreError} PARENT_NOT_FOUND, IMAGE_NOT_FOUND, PARENT_CYCLE
   */
  setParent(id: ImageId, parent: ImageId, options?: WriteOptions): Promise<void>;
  /** Returns the parent of `id`. @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND when it has none */
  getParent(id: ImageId): ImageId;
  /** Notes the store's clock as the moment of the image's last update. @throws {StoreError} IMAGE_NOT_FOUND */
  setLastUpdated(id: ImageId, options?: WriteOptions): Promise<void>;
  /** Returns the moment of the last update; undefined when there was none, or no such image. */
  getLastUpdated(id: ImageId): Date | undefined;
  /** Notes that the image was built here. @throws {StoreError} IMAGE_NOT_FOUND */
  setBuiltLocally(id: ImageId, options?: WriteOptions): Promise<void>;
  /** Whether the image was noted as built here; false when there is no such image. */
  isBuiltLocally(id: ImageId): boolean;
  /** Returns the children of `id`, sorted; none for an unknown image. */
  children(id: ImageId): ImageId[];
  /** Returns every image of this moment, in the order of creation. The event store reads each when it is asked for. */
  map(): ReadonlyMap<ImageId, Image>;
  /** Returns the images that are nobody's parent, as `map` does. */
  heads(): ReadonlyMap<ImageId, Image>;
  /** Returns how many images there are. */
  len(): number;
}

/** The members of a store that only read its images, answering as of one seq. */
export type ImageReads = Pick<
  Store,
  'get' | 'search' | 'getParent' | 'getLastUpdated' | 'isBuiltLocally' | 'children' | 'map' | 'heads' | 'len'
>;

/** What a walk calls for each image; it stops when this throws. */
export type DigestWalkFunc = (digest: Digest) => void;

/**
 * Where an image store keeps configs and metadata, as the Go package's
 * StoreBackend. Reads are synchronous; writes resolve when durable.
 */
export interface StoreBackend {
  /** Calls `visit` with the digest of every image. */
  walk(visit: DigestWalkFunc): void;
  /** Returns the bytes of a config. @throws {StoreError} IMAGE_NOT_FOUND, CONTENT_CORRUPT when they do not match */
  get(digest: Digest): Uint8Array;
  /** Keeps a config, and returns its digest. @throws {StoreError} CONFIG_INVALID for what the backend does not take */
  set(data: Uint8Array): Promise<Digest>;
  /** Removes a config and its metadata. @throws {StoreError} IMAGE_NOT_FOUND */
  delete(digest: Digest): Promise<void>;
  /** Sets a value, a file of the name `key` in Docker's layout. @throws {StoreError} IMAGE_NOT_FOUND, METADATA_INVALID */
  setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void>;
  /** Returns a value. @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  getMetadata(digest: Digest, key: string): Uint8Array;
  /** Removes a value; nothing happens when there is none. @throws {StoreError} METADATA_INVALID */
  deleteMetadata(digest: Digest, key: string): Promise<void>;
}

/** How an archive is read. */
export interface LoadOptions extends WriteOptions {
  /** Only images for this platform; others are passed over and said. A Platform or `os/arch[/variant]`. */
  readonly platform?: Platform | string | undefined;
  /** Refuse an archive that lacks a platform its index names; without it, those are passed over and said. */
  readonly allPlatforms?: boolean | undefined;
  /** `false` refuses a load that would move a reference; default true. */
  readonly overwrite?: boolean | undefined;
  /** A reference to set on the archive's only image, beside those it brings. */
  readonly tag?: string | undefined;
  /** Called as bytes of the archive are read. `total` is known for a file only. */
  readonly onProgress?: ((bytes: number, total: number | undefined) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a load brought. */
export interface LoadResult {
  readonly format: 'docker' | 'oci';
  readonly images: readonly LoadedImage[];
  readonly references: readonly LoadedReference[];
  /** Layers that were new to the store. */
  readonly layersAdded: number;
  readonly notices: readonly string[];
  /** Seq of the load's last event; the head's when it changed nothing. */
  readonly seq: number;
}

/** One image of a loaded archive. */
export interface LoadedImage {
  readonly id: ImageId;
  /** False when the store had it already. */
  readonly created: boolean;
  readonly parent?: ImageId | undefined;
  readonly platform: Platform;
  /** Digest of the manifest it came with. */
  readonly manifest?: Digest | undefined;
}

/** One name of a loaded archive. */
export interface LoadedReference {
  readonly reference: string;
  readonly image: ImageId;
  /** The image it pointed at before, when it gives another one now, or one of its platforms another or none. */
  readonly previous?: ImageId | undefined;
}

/** How an archive is written. */
export interface SaveOptions {
  readonly format?: 'docker' | 'oci' | undefined;
  /** Called as bytes of the archive are produced. `total` is exact. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which image of a reference is asked for. */
export interface ResolveOptions {
  /** A Platform or `os/arch[/variant]`, of a reference that has several. */
  readonly platform?: Platform | string | undefined;
}

/** How a store is opened; values of another type are refused with a TypeError. */
export interface OpenOptions {
  /** Create the store when it is missing; default true. */
  readonly create?: boolean | undefined;
  /**
   * Open it as it is at this moment, and write nothing: no lock, no file. Others may read and write it meanwhile; this store sees
   * nothing of what they do. Default false.
   */
  readonly readOnly?: boolean | undefined;
  /**
   * Open it on a full disk too, in the room that the store keeps for that: for a program that is about to delete, erase or prune.
   * Default false.
   */
  readonly useReserve?: boolean | undefined;
  /** Who writes, when a call does not say; default `user@host`. */
  readonly actor?: string | undefined;
  /**
   * The log's name in checkpoints, kept at creation; default `imagelog/` and the store id. It names the key too: no spaces, no
   * plus, at most 255 bytes.
   */
  readonly origin?: string | undefined;
  /**
   * Signs the checkpoints, as `readSigner` gives it. Whoever opens the store for writing without it puts unsigned checkpoints in
   * their place. In a store that is opened for reading it only checks.
   */
  readonly signer?: CheckpointSigner | undefined;
  /** Which operating system an image must be for: `any` (default), `host`, or a GOOS name. */
  readonly os?: 'any' | 'host' | (string & {}) | undefined;
  /** Layers kept elsewhere, or `none` to keep configs only; default the store's own. */
  readonly layers?: LayerGetReleaser | 'none' | undefined;
  /** The clock, milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Events after which a snapshot of the views is written in the background; 0 for none. Default 50,000. */
  readonly snapshotEvery?: number | undefined;
  /**
   * Told what went wrong and did no harm, as a snapshot that was passed over; default a warning of the process. What it throws
   * is an uncaught exception, and fails nothing else.
   */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}
