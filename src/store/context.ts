import type { Views, ViewSet } from '../../projections/views.js';
import type { Page } from '../../projections/projection.js';
import { StoreError } from '../errors.js';
import { MAX_KEPT_CONFIG_BYTES } from '../limits.js';
import type { Log } from '../log/log.js';
import type { Digest, ImageId } from '../model/digest.js';
import { factsOf } from '../model/event-table.js';
import { StoredConfig } from '../model/stored-image.js';
import { readClock } from '../model/timestamp.js';
import type { ImagePolicy } from './commands/images.js';
import { type Decide, refuseErased } from './commands/decision.js';
import { EventClock } from './event-clock.js';
import { EventReader } from './follow/log-feed.js';
import { BlobCleaner, type BlobStore } from './layers/blob-store.js';
import { type HeldLayers, LayerHolds } from './layers/layer-store.js';
import type { CheckpointKeeper } from './open/checkpoint-keeper.js';
import { NEWEST_VERSION, type Sidecar, upgradeSidecar } from './open/sidecar.js';
import type { SnapshotFolder } from './snapshots/snapshot-folder.js';
import type { Snapshotter } from './snapshots/snapshotter.js';
import type { WriteOptions } from './store.js';
import { originOf, Writer } from './writer.js';

/** The parts of a store, as opened. */
interface OpenedStore {
  readonly directory: string;
  readonly sidecar: Sidecar;
  readonly log: Log;
  readonly checkpoints: CheckpointKeeper;
  readonly snapshots: SnapshotFolder;
  readonly snapshotter: Snapshotter;
  /** Views folded up to the head of the log. */
  readonly viewSet: ViewSet;
  readonly blobs: BlobStore;
  /** Removes erased bytes that wait in uploads for a manifest. */
  readonly forgetUploads: (digests: readonly Digest[]) => Promise<void>;
  /** Where layers are kept; `none` keeps configs only. */
  readonly layerPlace: 'own' | 'elsewhere' | 'none';
  /** The holds on layers kept elsewhere. */
  readonly heldLayers: HeldLayers | undefined;
  readonly policy: ImagePolicy;
  readonly readOnly: boolean;
  /** Read-only stores: differs from `writtenState` once another process wrote to the store. */
  readonly openedState?: string | undefined;
  readonly actor: string;
  /** The caller's clock; each reading is validated. */
  readonly now: () => number;
  /** Receives problems that did no harm. */
  readonly onNotice: (notice: string) => void;
  /** Called once when everything is closed: lets this process open the directory again. */
  readonly onClosed: () => void;
}

/** The shared state of an open event store. Members call `checkOpen` or `checkWritable` first. */
export class StoreContext implements OpenedStore {
  readonly directory: string;
  readonly log: Log;
  readonly checkpoints: CheckpointKeeper;
  readonly snapshots: SnapshotFolder;
  readonly snapshotter: Snapshotter;
  readonly viewSet: ViewSet;
  readonly views: Views;
  readonly blobs: BlobStore;
  readonly forgetUploads: OpenedStore['forgetUploads'];
  readonly layerPlace: OpenedStore['layerPlace'];
  readonly heldLayers: HeldLayers | undefined;
  readonly policy: ImagePolicy;
  readonly readOnly: boolean;
  readonly openedState: string | undefined;
  readonly actor: string;
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
  readonly onClosed: () => void;
  readonly holds = new LayerHolds();
  readonly cleaner: BlobCleaner;
  readonly writer: Writer;
  readonly reader: EventReader;
  readonly #configs = new ConfigCache();
  #sidecar: Sidecar;
  #isClosed = false;

  constructor(opened: OpenedStore) {
    const { viewSet, log, blobs, checkpoints } = opened;
    this.directory = opened.directory;
    this.#sidecar = opened.sidecar;
    this.log = log;
    this.checkpoints = checkpoints;
    this.snapshots = opened.snapshots;
    this.snapshotter = opened.snapshotter;
    this.viewSet = viewSet;
    this.views = viewSet.views;
    this.blobs = blobs;
    this.forgetUploads = opened.forgetUploads;
    this.layerPlace = opened.layerPlace;
    this.heldLayers = opened.heldLayers;
    this.policy = opened.policy;
    this.readOnly = opened.readOnly;
    this.openedState = opened.openedState;
    this.actor = opened.actor;
    this.now = () => readClock(opened.now);
    this.onNotice = opened.onNotice;
    this.onClosed = opened.onClosed;
    const cleaner = new BlobCleaner(blobs, () => viewSet.views.blobs);
    this.cleaner = cleaner;
    this.writer = new Writer({
      log,
      views: viewSet.views,
      holds: this.holds,
      clock: new EventClock({ now: this.now, onNotice: opened.onNotice }),
      sealed: (page) => checkpoints.note(page),
      fold: (page) => cleaner.cleanAfter(page, (durable) => viewSet.fold(durable)),
      needRoutes: () => this.#needRoutes(),
      lost: () => blobs.removeNothing(),
      found: () => blobs.removeAgain(),
    });
    viewSet.folded$.subscribe((page) => this.#configs.forgetRemoved(page));
    const references = (): Iterable<string> => viewSet.views.references.byName.keys();
    this.reader = new EventReader({ log, references, now: this.now }, viewSet.folded$);
    if (opened.readOnly) void this.writer.end(this.#readOnlyError());
  }

  get sidecar(): Sidecar {
    return this.#sidecar;
  }

  /** Makes `checkOpen` throw from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** @throws {StoreError} STORE_CLOSED */
  checkOpen(): void {
    if (this.#isClosed) throw this.closedError();
  }

  /** @throws {StoreError} STORE_CLOSED, STORE_READ_ONLY */
  checkWritable(): void {
    this.checkOpen();
    if (this.readOnly) throw this.#readOnlyError();
  }

  /** Decides one command and makes it durable. */
  async submit<Result>(decide: Decide<Result>, options: WriteOptions = {}): Promise<Result> {
    this.checkOpen();
    return this.writer.submit({ decide, origin: originOf(options, this.actor) });
  }

  /**
   * Returns the config of an image. Does not check that the image exists, now or in the past;
   * callers must.
   * @throws {StoreError} STORE_CLOSED, CONTENT_ERASED, CONTENT_CORRUPT
   */
  readConfig(id: ImageId): StoredConfig {
    this.checkOpen();
    // Also for reads of the past: erased content is gone there too.
    refuseErased(this.views.erasures, id);
    return this.#configs.get(id, () => this.#readContent(id));
  }

  /** Whether a layer or manifest needs the blob, so that its file must stay. */
  readonly isBlobNeeded = (digest: Digest): boolean => this.cleaner.isNeeded(digest);

  closedError(): StoreError {
    return new StoreError('STORE_CLOSED', `the store ${this.directory} is closed`, {
      data: { directory: this.directory },
    });
  }

  async #needRoutes(): Promise<void> {
    if (this.#sidecar.version === NEWEST_VERSION) return;
    const sidecar = { ...this.#sidecar, version: NEWEST_VERSION };
    // An empty store is nobody's who has an earlier version.
    const isEmpty = this.log.head.seq === 0;
    await upgradeSidecar(this.directory, sidecar, isEmpty ? () => undefined : this.onNotice);
    this.#sidecar = sidecar;
  }

  #readOnlyError(): StoreError {
    return new StoreError('STORE_READ_ONLY', `the store ${this.directory} was opened for reading only`, {
      data: { directory: this.directory },
    });
  }

  #readContent(id: ImageId): Uint8Array {
    const config = this.log.content(id);
    if (config !== undefined) return config;
    throw new StoreError('CONTENT_CORRUPT', `the config of the image ${id} is missing from the store`, {
      data: { image: id },
    });
  }
}

/**
 * Cache of checked configs; a hit costs no database read and no decoding. Two generations: when the
 * newer is full, the older is dropped; a hit in the older moves the config to the newer. This
 * approximates LRU, and most hits move nothing.
 *
 * Does not check that the image exists, now or in the past; callers must.
 */
export class ConfigCache {
  readonly #maxHalfBytes: number;
  #newer = new Map<Digest, StoredConfig>();
  #older = new Map<Digest, StoredConfig>();
  #newerBytes = 0;

  constructor(maxBytes = MAX_KEPT_CONFIG_BYTES) {
    this.#maxHalfBytes = maxBytes / 2;
  }

  /** Returns the config `id`, calling `read` on a miss. @throws what `read` throws */
  get(id: Digest, read: () => Uint8Array): StoredConfig {
    const newer = this.#newer.get(id);
    if (newer !== undefined) return newer;
    const older = this.#older.get(id);
    if (older !== undefined) this.#older.delete(id);
    const config = older ?? new StoredConfig(read());
    this.#keep(id, config);
    return config;
  }

  /** Evicts what events removed: erased bytes must leave memory too. */
  forgetRemoved(page: Page): void {
    for (const event of page) {
      const { effect, changes } = factsOf(event);
      if (effect !== 'removes') continue;
      for (const [kind, key] of changes(event)) if (kind === 'image' || kind === 'content') this.#forget(key);
    }
  }

  #keep(id: Digest, config: StoredConfig): void {
    if (config.size > this.#maxHalfBytes) return;
    if (this.#newerBytes + config.size > this.#maxHalfBytes) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#newerBytes = 0;
    }
    this.#newer.set(id, config);
    this.#newerBytes += config.size;
  }

  #forget(id: Digest): void {
    this.#older.delete(id);
    this.#newerBytes -= this.#newer.get(id)?.size ?? 0;
    this.#newer.delete(id);
  }
}
