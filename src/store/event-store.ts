import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ImageId } from '../model/digest.js';
import type { BackupOptions, BackupReport } from './backup/backup-layout.js';
import type { Consumers } from './consumers/consumer.js';
import type { Erasing } from './erase.js';
import type { Evidence } from './evidence.js';
import type { StoreLog } from './follow/event-filter.js';
import type { OwnProjections } from './own-projections.js';
import type { AuditReads, When } from './past/audit.js';
import type { OpenRebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import type { WrittenSnapshot } from './snapshots/snapshotter.js';
import type {
  LayerStore,
  LoadOptions,
  LoadResult,
  ReferenceEntry,
  ResolveOptions,
  SaveOptions,
  Store,
  StoreBackend,
  WriteOptions,
} from './store.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';

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
   * Rebuilds everything derived from events, content and blobs while the store stays open: the rows of the tree, the subject index, snapshots
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
