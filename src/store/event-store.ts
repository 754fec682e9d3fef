import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Digest, ImageId } from '../model/digest.js';
import type { ArtifactReads } from './artifacts.js';
import type { BackupOptions, BackupReport } from './backup/backup-layout.js';
import type { Consumers } from './consumers/consumer.js';
import type { Erasing } from './erase.js';
import type { Evidence } from './evidence.js';
import type { StoreLog } from './follow/event-filter.js';
import type { ManifestEntry } from '../../projections/content.js';
import type { ListedImage } from './images.js';
import type { OwnProjections } from './own-projections.js';
import type { AuditReads, PastStore, When, WhenOptions } from './past/audit.js';
import type { RegistryStore } from './registry-store.js';
import type { RemovalOptions, RemovalReads } from './past/removals.js';
import type { OpenRebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import type { WrittenSnapshot } from './snapshots/snapshotter.js';
import type {
  LayerStore,
  LoadOptions,
  LoadResult,
  ReferenceEntry,
  ResolveOptions,
  SavedContents,
  SavedContentsOptions,
  SaveOptions,
  Store,
  StoreBackend,
  WriteOptions,
} from './store.js';
import type { TagRequest } from './argument-types.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';

/** Counts and sizes of a store. Sizes are bytes. */
export interface StoreStats {
  readonly events: number;
  readonly images: number;
  readonly heads: number;
  readonly references: number;
  readonly artifacts: number;
  readonly layers: number;
  /** Total of the compressed layer files, each counted once. */
  readonly blobBytes: number;
  readonly blobs: number;
  /** Pulls from the registry of this store, of the references and hours that are still counted. */
  readonly pulls: number;
  readonly storeId: string;
  readonly formatVersion: number;
  readonly createdAt: number;
  /** Names of the damaged logs that rebuilds moved aside: they still hold content until removed. */
  readonly damagedLogs: readonly string[];
  /** Time of the newest event; undefined in an empty store. */
  readonly lastEventAt?: number | undefined;
}

/** An image store over an event log in a directory; returned by `openStore`. */
export interface EventStore
  extends Store,
    ArtifactReads,
    AuditReads,
    Consumers,
    Erasing,
    Evidence,
    OwnProjections,
    RemovalReads,
    AsyncDisposable {
  readonly directory: string;
  /** The event log, for reading. @throws {StoreError} STORE_CLOSED, as do `backend` and `layers` */
  readonly log: StoreLog;
  /** Low-level access to configs and metadata by digest. */
  readonly backend: StoreBackend;
  /**
   * The store's own layers.
   * @throws {StoreError} LAYERS_UNAVAILABLE when it was opened with other layers or none
   */
  readonly layers: LayerStore;
  /** Repositories as a registry has them, and pushes. */
  readonly registry: RegistryStore;

  /**
   * Returns the only image with this id, or whose id, manifest or index begins so, with or without
   * `sha256:`.
   * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS, with two candidates
   */
  search(partial: string): ImageId;
  /**
   * With `past`, resolves also with what was removed, if nothing begins so that is there: the only
   * image or artifact. Uses the index, as `searchAll` does, which lists them.
   * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS, for removed ones with `data.ids`, at most
   *   20, and `data.count`; TIME_INVALID, TIME_OUT_OF_RANGE, ABORTED
   */
  search(partial: string, options: RemovalOptions & { readonly past: true }): Promise<Digest>;

  /**
   * Sets a metadata value; copies the bytes. A key is letters, digits, dots, dashes, underscores.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_INVALID, RECORD_TOO_LARGE
   */
  setMetadata(id: ImageId, key: string, value: Uint8Array, options?: WriteOptions): Promise<void>;
  /**
   * Returns a copy of a metadata value.
   * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID
   */
  getMetadata(id: ImageId, key: string): Uint8Array;
  /**
   * Returns copies of all metadata values of an image by key, sorted; the parent is not among them.
   * @throws {StoreError} IMAGE_NOT_FOUND
   */
  metadata(id: ImageId): ReadonlyMap<string, Uint8Array>;
  /** @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  deleteMetadata(id: ImageId, key: string, options?: WriteOptions): Promise<void>;

  /**
   * Points the reference `target` at `source`: an image or an artifact by its digest (an index
   * stands for its images), or what another reference points at, with all its platforms.
   * @throws {StoreError} IMAGE_NOT_FOUND, REFERENCE_NOT_FOUND (the source), REFERENCE_INVALID;
   *   REFERENCE_EXISTS when `overwrite` is false and an image it resolves to would be lost
   * @throws {TypeError} for two names in a row, with the call to write
   */
  tag(request: TagRequest, options?: WriteOptions & { readonly overwrite?: boolean | undefined }): Promise<void>;
  /**
   * Removes a reference, and with `removeArtifacts` the artifacts that only it held. Images stay.
   * @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID
   */
  untag(reference: string, options?: WriteOptions & { readonly removeArtifacts?: boolean | undefined }): Promise<void>;
  /**
   * Removes an artifact and those that only it held, and returns their digests. With `force` also
   * when a reference, an index or its subject holds it; references that point at it go too.
   * @throws {StoreError} ARTIFACT_NOT_FOUND, ARTIFACT_IN_USE, DIGEST_INVALID
   */
  deleteArtifact(
    digest: string,
    options?: WriteOptions & { readonly force?: boolean | undefined },
  ): Promise<readonly Digest[]>;
  /**
   * Returns the image `reference` points at, for `platform` if given. A reference by digest may
   * also name a manifest or index of its repository.
   * @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID, PLATFORM_INVALID;
   *   REFERENCE_NOT_IMAGE when it points at an artifact or at an index without images;
   *   PLATFORM_NOT_FOUND when it has no image for the platform
   */
  resolve(reference: string, options?: ResolveOptions): ImageId;
  /**
   * Resolves `reference` as of a point in time, using only the index.
   * @throws {StoreError} as without `at`; TIME_INVALID, TIME_OUT_OF_RANGE
   */
  resolve(reference: string, options: ResolveOptions & WhenOptions & { readonly at: When }): Promise<ImageId>;
  /** Returns the canonical references of an image, sorted. */
  references(id: ImageId): string[];
  /** Returns every reference, sorted by name. */
  referenceEntries(): ReferenceEntry[];
  /** Returns what is known of every image without reading its config, in the order added. */
  imageEntries(): ListedImage[];
  /** Returns the manifests with which an image came, in the order they were added; none of `docker save` before 25. */
  manifests(id: ImageId): readonly ManifestEntry[];

  /**
   * Loads an archive from a path or its bytes, in one transaction: all of it or nothing.
   * @throws {StoreError} FILE_NOT_FOUND; ARCHIVE_*, LAYER_*, BLOB_MISMATCH, COMPRESSION_INVALID,
   *   CONFIG_* for an invalid archive; REFERENCE_EXISTS with `overwrite: false`;
   *   PLATFORM_NOT_FOUND, PLATFORM_INVALID, REFERENCE_INVALID, OS_UNSUPPORTED, DISK_FULL, ABORTED
   */
  load(source: AsyncIterable<Uint8Array> | string, options?: LoadOptions): Promise<LoadResult>;
  /**
   * Returns an archive of the named images as a stream; the same images give the same bytes. A name
   * is an id, an id prefix, a reference, or a repository (all its tags). Consume or destroy the
   * stream: it keeps its layer files from being removed. With `past`, which `at` returned, names are
   * what they were then, and a layer that was removed since is BLOB_MISSING.
   * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS, LAYERS_UNAVAILABLE, BLOB_MISSING at once;
   *   the stream fails with BLOB_CORRUPT, BLOB_MISSING, ABORTED
   */
  save(names: string | readonly string[], options?: SaveOptions & { readonly past?: PastStore | undefined }): Readable;
  /**
   * Writes the archive of `save` to an open file from its position on, and resolves with its size
   * in bytes once durable. Takes about half the time of the stream plus a sync: it reuses buffers
   * and overlaps disk writes with reads.
   * @throws {StoreError} as `save` and its stream; errors of the file itself are thrown unchanged
   */
  saveTo(file: FileHandle, names: string | readonly string[], options?: SaveOptions): Promise<number>;

  /**
   * Returns what `save` writes of the named images, as documents and blobs to read one by one: a
   * push sends only what a registry lacks. Release it: it keeps its blobs from being removed.
   * @throws {StoreError} as `save`
   */
  savedContents(names: string | readonly string[], options?: SavedContentsOptions): SavedContents;

  /**
   * Writes a snapshot of the views, from which the next open starts. Also done in the background
   * and at close.
   * @throws {StoreError} STORE_READ_ONLY, DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
   */
  snapshot(): Promise<WrittenSnapshot>;

  /**
   * Checks every record, row, file and view against a fresh fold of the events and resolves with
   * the violations; empty when the store is sound. Reads everything, while writes continue. Skips
   * a subject index that a rebuild left unfinished: reads do not use it.
   * @throws {StoreError} KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, SIGNATURE_INVALID for
   *   a checkpoint in the options; STORE_LOCKED when read-only and another process writes to the
   *   store; IO_FAILED, LOG_FAILED, ABORTED
   */
  verify(options?: VerifyOptions): Promise<readonly Violation[]>;

  /**
   * Rebuilds everything derived from events, content and blobs while the store stays open: tree
   * rows, subject index, snapshots and checkpoint. Replaces live views that differ from a fresh
   * fold of the events, and names them in the result. Removes saved states of the caller's
   * projections; live ones keep their view. Costs three reads of all events.
   *
   * Writes and `close` wait until it is done. Reads continue; those of the past scan the log, and
   * after an abort or failure they do so until the next rebuild or open. For a store that does not
   * open, use `rebuildStore`.
   * @throws {StoreError} STORE_READ_ONLY; LOG_CORRUPT when an event is damaged or missing, or the
   *   log does not match its checkpoint; LOG_FAILED when a row could not be written: the log was
   *   reopened and holds every event; CHECKPOINT_INVALID, CHECKPOINT_FORKED, DISK_FULL,
   *   STORE_NOT_WRITABLE, IO_FAILED, ABORTED
   */
  rebuild(options?: OpenRebuildOptions): Promise<RebuildResult>;

  /**
   * Backs up the store at its head to a directory of immutable files, writing only what the
   * existing backup lacks; durable on return. Events form a tlog-tiles log (C2SP); content and
   * layer files are named by digest. The previous backup stays whole until the new one is. Writes
   * continue meanwhile; backups of one store run one at a time.
   * @throws {StoreError} BACKUP_FOREIGN when the directory holds another store's backup;
   *   CHECKPOINT_FORKED when it has events the log lacks; BACKUP_INVALID when its checkpoint is
   *   damaged; FILE_EXISTS when it is not a backup, lies in a store or another backup, or is behind
   *   a dangling link; SIDECAR_INVALID; BLOB_MISSING, BLOB_CORRUPT, CONTENT_CORRUPT, LOG_CORRUPT
   *   for damage in the store; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, ABORTED
   */
  backup(target: string, options?: BackupOptions): Promise<BackupReport>;

  /**
   * Returns when a write would be accepted now; for a health check.
   * @throws {StoreError} why it would be refused: STORE_CLOSED, STORE_READ_ONLY, LOG_FAILED
   */
  checkWritable(): void;

  /**
   * Resolves once every write requested before this call is durable, or failed: from then on the log
   * has all events up to the time of the call.
   */
  settled(): Promise<void>;

  /**
   * Returns counts and sizes. Walks all images and blobs.
   * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
   */
  stats(): StoreStats;
  /** Finishes work in progress, refuses new calls and releases the directory. Idempotent. */
  close(): Promise<void>;
}
