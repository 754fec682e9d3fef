import type { Readable } from 'node:stream';
import type { Observable } from 'rxjs';
import type { ChainId, DiffId, Digest, ImageId } from '../model/digest.js';
import type { EventType, LayerFacts, PlatformImage, Descriptor, StoredEvent } from '../model/events.js';
import type { Image } from '../model/image.js';
import type { Platform } from '../model/platform.js';

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
  map(): ReadonlyMap<ChainId, Layer>;
  release(layer: Layer, options?: WriteOptions): Promise<readonly LayerMetadata[]>;
}

/**
 * The image store, with the members of Docker's `image.Store` in camelCase.
 * Reads are synchronous and never see what is not durable; writes resolve when durable.
 */
export interface Store {
  create(config: Uint8Array, options?: WriteOptions): Promise<ImageId>;
  get(id: ImageId): Image;
  delete(id: ImageId, options?: WriteOptions): Promise<readonly LayerMetadata[]>;
  search(partial: string): ImageId;
  setParent(id: ImageId, parent: ImageId, options?: WriteOptions): Promise<void>;
  getParent(id: ImageId): ImageId;
  setLastUpdated(id: ImageId, options?: WriteOptions): Promise<void>;
  getLastUpdated(id: ImageId): Date | undefined;
  setBuiltLocally(id: ImageId, options?: WriteOptions): Promise<void>;
  isBuiltLocally(id: ImageId): boolean;
  children(id: ImageId): ImageId[];
  map(): ReadonlyMap<ImageId, Image>;
  heads(): ReadonlyMap<ImageId, Image>;
  len(): number;
}

/** What a walk calls for each image; it stops when this throws. */
export type DigestWalkFunc = (digest: Digest) => void;

/**
 * Where an image store keeps configs and metadata, as the Go package's
 * StoreBackend. Reads are synchronous; writes resolve when durable.
 */
export interface StoreBackend {
  walk(visit: DigestWalkFunc): void;
  /** @throws {StoreError} IMAGE_NOT_FOUND, CONTENT_CORRUPT when the bytes do not match */
  get(digest: Digest): Uint8Array;
  set(data: Uint8Array): Promise<Digest>;
  delete(digest: Digest): Promise<void>;
  setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void>;
  /** @throws {StoreError} METADATA_NOT_FOUND */
  getMetadata(digest: Digest, key: string): Uint8Array;
  deleteMetadata(digest: Digest, key: string): Promise<void>;
}

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

export interface LoadedImage {
  readonly id: ImageId;
  /** False when the store had it already. */
  readonly created: boolean;
  readonly parent?: ImageId | undefined;
  readonly platform: Platform;
  /** Digest of the manifest it came with. */
  readonly manifest?: Digest | undefined;
}

export interface LoadedReference {
  readonly reference: string;
  readonly image: ImageId;
  /** The image it pointed at before, when that is another one. */
  readonly previous?: ImageId | undefined;
}

export interface SaveOptions {
  readonly format?: 'docker' | 'oci' | undefined;
  /** Called as bytes of the archive are produced. `total` is exact. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which events to read: all of the given facts must hold, each by any of its values. */
export interface EventFilter {
  readonly type?: EventType | readonly EventType[] | undefined;
  readonly image?: ImageId | readonly ImageId[] | undefined;
  /** In the short or the canonical form. */
  readonly reference?: string | readonly string[] | undefined;
  readonly chainId?: ChainId | readonly ChainId[] | undefined;
  readonly actor?: string | readonly string[] | undefined;
  /** First and last moment, inclusive, milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

export interface ReadOptions {
  /** First and last seq, inclusive, whatever the direction; default the whole log. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FollowOptions {
  /** First seq to give; default the one after the head. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The last durable event: seq 0 and time 0 when the log is empty. */
export interface Head {
  readonly seq: number;
  readonly time: number;
}

/** The event log of a store, for reading. */
export interface StoreLog {
  readonly head: Head;
  /** Events in order, checked for gaps and against their leaf hashes before they are given. */
  read(options?: ReadOptions): AsyncIterable<StoredEvent>;
  /** Events from `from` on, for ever: first those there are, then each as it becomes durable. */
  follow(options?: FollowOptions): AsyncIterable<StoredEvent>;
  /** Each event as it becomes durable, after every view has folded its transaction. */
  readonly events$: Observable<StoredEvent>;
}

/** What a reference stands for now. */
export interface ReferenceEntry {
  readonly reference: string;
  readonly image: ImageId;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** The event that set it. */
  readonly seq: number;
  readonly time: number;
}

/** Numbers about a store. Sizes are bytes. */
export interface StoreStats {
  readonly events: number;
  readonly images: number;
  readonly heads: number;
  readonly references: number;
  readonly layers: number;
  /** Compressed layer files, each counted once. */
  readonly blobBytes: number;
  readonly blobs: number;
  readonly storeId: string;
  readonly formatVersion: number;
  readonly createdAt: number;
  /** Time of the newest event; undefined in an empty store. */
  readonly lastEventAt?: number | undefined;
}

/** A store over an event log in a directory: what `openStore` gives. */
export interface EventStore extends Store, AsyncDisposable {
  readonly directory: string;
  readonly log: StoreLog;
  readonly backend: StoreBackend;
  /** The store's own layers. @throws {StoreError} LAYERS_UNAVAILABLE when it was opened with others or none */
  readonly layers: LayerStore;

  setMetadata(id: ImageId, key: string, value: Uint8Array, options?: WriteOptions): Promise<void>;
  getMetadata(id: ImageId, key: string): Uint8Array;
  deleteMetadata(id: ImageId, key: string, options?: WriteOptions): Promise<void>;

  tag(
    reference: string,
    id: ImageId,
    options?: WriteOptions & { readonly overwrite?: boolean | undefined },
  ): Promise<void>;
  untag(reference: string, options?: WriteOptions): Promise<void>;
  resolve(reference: string, options?: { readonly platform?: Platform | string | undefined }): ImageId;
  /** Canonical references of an image, sorted. */
  references(id: ImageId): string[];
  /** Every reference, sorted by name. */
  referenceEntries(): ReferenceEntry[];

  load(source: AsyncIterable<Uint8Array> | string, options?: LoadOptions): Promise<LoadResult>;
  save(names: string | readonly string[], options?: SaveOptions): Readable;

  stats(): StoreStats;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Create the store when it is missing; default true. */
  readonly create?: boolean | undefined;
  /** Refuse every write; default false. */
  readonly readOnly?: boolean | undefined;
  /** Who writes, when a call does not say; default `user@host`. */
  readonly actor?: string | undefined;
  /** The log's name in checkpoints, kept at creation; default `imagelog/` and the store id. */
  readonly origin?: string | undefined;
  /** Which operating system an image must be for: `any` (default), `host`, or a GOOS name. */
  readonly os?: 'any' | 'host' | (string & {}) | undefined;
  /** Layers kept elsewhere, or `none` to keep configs only; default the store's own. */
  readonly layers?: LayerGetReleaser | 'none' | undefined;
  /** The clock, milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
}
