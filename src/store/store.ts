import type { Readable } from 'node:stream';
import type { ReferenceEntry } from '../../projections/references.js';
import type { Head, LogPoint } from '../log/log.js';
import type { ChainId, DiffId, Digest, ImageId } from '../model/digest.js';
import type { LayerFacts } from '../model/events.js';
import type { Image } from '../model/image.js';

export type { Head, LogPoint, ReferenceEntry };

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
