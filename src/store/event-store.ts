import type { Readable } from 'node:stream';
import type { FileHandle } from 'node:fs/promises';
import type { ReferenceEntry } from '../../projections/references.js';
import type { Head } from '../log/log.js';
import type { ChainId, DiffId, Digest, ImageId } from '../model/digest.js';
import type { LayerFacts } from '../model/events.js';
import type { Image } from '../model/image.js';
import type { Platform } from '../model/platform.js';
import type { AuditReads, When } from './past/audit.js';
import type { BackupOptions, BackupReport } from './backup/backup-layout.js';
import type { Consumers } from './consumers/consumer.js';
import type { Evidence } from './evidence.js';
import type { CheckpointSigner } from './keys.js';
import type { Erasing } from './commands/erase.js';
import type { OwnProjections } from './own-projections.js';
import type { StoreLog } from './follow/event-filter.js';
import type { OpenRebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import type { WrittenSnapshot } from './snapshots/snapshotter.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';
import { headsOf } from '../../projections/images.js';
import type { EventStoreParts } from './wire-store.js';
import { damagedLogs } from './files/log-folders.js';

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
  /**
   * Names of the damaged logs that rebuilds put aside: copies of content, until somebody removes
   * them or moves them away.
   */
  readonly damagedLogs: readonly string[];
  /** Time of the newest event; undefined in an empty store. */
  readonly lastEventAt?: number | undefined;
}

/** A store over an event log in a directory: what `openStore` gives. */
export interface EventStore extends Store, AuditReads, Consumers, Erasing, Evidence, OwnProjections, AsyncDisposable {
  readonly directory: string;
  /** The events, for reading. @throws {StoreError} STORE_CLOSED, as the next two */
  readonly log: StoreLog;
  /** The raw side: configs and metadata by digest. */
  readonly backend: StoreBackend;
  /** The store's own layers. @throws {StoreError} LAYERS_UNAVAILABLE when it was opened with others or none */
  readonly layers: LayerStore;

  /**
   * Sets a value under a key: letters, digits, dots, dashes, underscores. The value is copied.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_INVALID, RECORD_TOO_LARGE
   */
  setMetadata(id: ImageId, key: string, value: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Returns a copy of the value. @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  getMetadata(id: ImageId, key: string): Uint8Array;
  /** @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  deleteMetadata(id: ImageId, key: string, options?: WriteOptions): Promise<void>;

  /**
   * Points `reference` at an image. Given a reference as the source, it gets all that one stands for: every platform.
   * @throws {StoreError} IMAGE_NOT_FOUND, REFERENCE_NOT_FOUND (the source), REFERENCE_INVALID; REFERENCE_EXISTS when
   * `overwrite` is false and it would lose an image that it gives
   */
  tag(
    reference: string,
    idOrReference: string,
    options?: WriteOptions & { readonly overwrite?: boolean | undefined },
  ): Promise<void>;
  /** Removes a reference; the image stays. @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID */
  untag(reference: string, options?: WriteOptions): Promise<void>;
  /**
   * Returns the image that `reference` gives, for `platform` when that is asked for.
   * @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID, PLATFORM_INVALID; PLATFORM_NOT_FOUND when it has no
   * image for the platform, or its only image is for another
   */
  resolve(reference: string, options?: ResolveOptions): ImageId;
  /**
   * Resolves with the image that `reference` gave at a point in time, from the index alone.
   * @throws {StoreError} as without `at`; TIME_INVALID, TIME_OUT_OF_RANGE
   */
  resolve(reference: string, options: ResolveOptions & { readonly at: When }): Promise<ImageId>;
  /** Canonical references of an image, sorted. */
  references(id: ImageId): string[];
  /** Every reference, sorted by name. */
  referenceEntries(): ReferenceEntry[];

  /**
   * Reads an archive, a path or its bytes, and adds all it holds in one transaction, or nothing.
   * @throws {StoreError} FILE_NOT_FOUND; ARCHIVE_*, LAYER_*, BLOB_MISMATCH, COMPRESSION_INVALID, CONFIG_* for what is wrong with
   *   the archive; REFERENCE_EXISTS with `overwrite: false`; PLATFORM_NOT_FOUND, PLATFORM_INVALID, REFERENCE_INVALID,
   *   OS_UNSUPPORTED, DISK_FULL, ABORTED
   */
  load(source: AsyncIterable<Uint8Array> | string, options?: LoadOptions): Promise<LoadResult>;
  /**
   * Returns the archive of the named images as a stream: by id, reference, repository (all its tags) or beginning of an id.
   * The same images give the same bytes. Consume or destroy it: until then none of its layer files is removed.
   * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS, LAYERS_UNAVAILABLE, BLOB_MISSING at once; the stream fails with
   *   BLOB_CORRUPT, BLOB_MISSING, ABORTED
   */
  save(names: string | readonly string[], options?: SaveOptions): Readable;
  /**
   * Writes what `save` gives to an open file, from its position on, and resolves with the bytes of it; durable on return. Takes about half
   * the time of the stream and a sync: buffers are used again, and the disk begins with the first bytes while others are read.
   * @throws {StoreError} as `save` and its stream; what the file itself fails with is thrown as Node gives it
   */
  saveTo(file: FileHandle, names: string | readonly string[], options?: SaveOptions): Promise<number>;

  /**
   * Writes a snapshot of the views now: the next open begins with it. One is also written in the background and at close.
   * @throws {StoreError} STORE_READ_ONLY, DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
   */
  snapshot(): Promise<WrittenSnapshot>;

  /**
   * Resolves with everything that is wrong with the store as it is now, each record, row, file and view against a fresh fold of the
   * events; empty when nothing is. Writers go on meanwhile. Costs a read of all there is. A subject index that a rebuild left unfinished
   * is not looked at: nobody reads it.
   * @throws {StoreError} KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, SIGNATURE_INVALID for a checkpoint in the options;
   *   STORE_LOCKED when the store was opened for reading and another writes to it; IO_FAILED, LOG_FAILED, ABORTED
   */
  verify(options?: VerifyOptions): Promise<readonly Violation[]>;

  /**
   * Makes all that follows from events, content and blobs anew while the store stays open: the rows of the tree, the subject index, snapshots
   * and the checkpoint; live views that differ from a fresh fold of the events are replaced, and named. Writers wait until it is
   * done; reads go on, those of the past by a scan of the log. Given up, or after a failure, reads do without the index until the next
   * call or opening. A close waits for its end. Costs three reads of all events. States of the caller's own projections are removed; one that is live keeps its view. A store that does not open is for `rebuildStore`.
   * @throws {StoreError} STORE_READ_ONLY; LOG_CORRUPT when an event is damaged or missing, or the log is not that of its checkpoint;
   *   LOG_FAILED when a row could not be written: the log was opened again, and holds every event; CHECKPOINT_INVALID, CHECKPOINT_FORKED,
   *   DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, ABORTED
   */
  rebuild(options?: OpenRebuildOptions): Promise<RebuildResult>;

  /**
   * Writes the store as it is at its head to a directory of immutable files, durable on return: what the backup that is there
   * lacks. Events are a tlog-tiles log (C2SP), content and layer files have their digests for names. The backup that was there before
   * is whole until the new one is, whatever happens. Writers go on; one backup of a store is written at a time.
   * @throws {StoreError} BACKUP_FOREIGN when the directory has the backup of another store; CHECKPOINT_FORKED when it has events that
   *   the log has not; BACKUP_INVALID when its checkpoint is damaged; FILE_EXISTS when it is no backup,
   *   lies in a store or another backup, or is behind a dangling link; SIDECAR_INVALID;
   *   BLOB_MISSING, BLOB_CORRUPT, CONTENT_CORRUPT, LOG_CORRUPT for what the store cannot give; DISK_FULL, STORE_NOT_WRITABLE,
   *   IO_FAILED, ABORTED
   */
  backup(target: string, options?: BackupOptions): Promise<BackupReport>;

  /**
   * Returns numbers about the store. Costs a walk over images and blobs.
   * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
   */
  stats(): StoreStats;
  /** Finishes what is under way, refuses all else, and gives the directory up. Calling it again is the same call. */
  close(): Promise<void>;
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

/**
 * Returns the numbers of a store. Costs a walk over images and blobs.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export function statsOf({ directory, viewSet: { views }, sidecar }: EventStoreParts, head: Head): StoreStats {
  let blobBytes = 0;
  for (const { size } of views.blobs.byDigest.values()) blobBytes += size;
  return {
    events: head.seq,
    images: views.images.size,
    heads: headsOf(views.images).size,
    references: views.references.byName.size,
    layers: views.layers.byChain.size,
    blobs: views.blobs.byDigest.size,
    blobBytes,
    storeId: sidecar.storeId,
    formatVersion: sidecar.version,
    createdAt: Date.parse(sidecar.created),
    damagedLogs: damagedLogs(directory),
    lastEventAt: head.seq === 0 ? undefined : head.time,
  };
}
