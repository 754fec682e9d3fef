import type { Erasure } from '../../../projections/erasures.js';
import type { LogPoint } from '../../log/log.js';
import type { Digest, ImageId } from '../../model/digest.js';
import type { When } from '../audit/audit.js';
import type { LayerMetadata, WriteOptions } from '../store.js';

export type { Erasure };

/** What is done with damaged logs that rebuilds put aside. */
interface DamagedLogOptions {
  /**
   * Remove every damaged log that a rebuild put aside: what is erased may be in it, and cannot be
   * taken out of it alone. Without this, content is not erased while there is one; default false.
   */
  readonly removeDamagedLogs?: boolean | undefined;
}

/** How something is erased. */
export interface EraseOptions extends Omit<WriteOptions, 'reason'>, DamagedLogOptions {}

/** What an erasure took away. */
export interface ErasedContent {
  readonly digest: Digest;
  /** Bytes that were removed. */
  readonly size: number;
  /** Layers that nothing used and that went with their blob, top first. */
  readonly layers: readonly LayerMetadata[];
  /** Names of the damaged logs that were removed with it. */
  readonly damagedLogs: readonly string[];
  /** Seq of its event. */
  readonly seq: number;
}

/** What a prune is to take away. */
export interface PruneOptions extends WriteOptions, DamagedLogOptions {
  /** Only what nothing needed any more at this point in time, nor at any time since. */
  readonly before: When;
  /** Take nothing away, and say what would go; default false. */
  readonly dryRun?: boolean | undefined;
  /** Called as events are looked at: how many, and of how many. */
  readonly onProgress?: ((events: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One thing that a prune takes away. */
export interface PrunedContent {
  readonly digest: Digest;
  readonly kind: 'config' | 'manifest' | 'index' | 'blob';
  /** Bytes. */
  readonly size: number;
  /** The image whose config or manifest it was. */
  readonly image?: ImageId | undefined;
}

/** What a prune took away, or would. */
export interface PruneResult {
  readonly dryRun: boolean;
  /** The last event at which something that goes may still have been needed. */
  readonly before: LogPoint;
  /** Configs, manifests and indexes in the order in which they came, then the blobs of `layers`. */
  readonly contents: readonly PrunedContent[];
  /** Layers that nothing used. */
  readonly layers: readonly LayerMetadata[];
  /**
   * Names of the damaged logs that were removed; of a dry run, of those that would be or that stand
   * in the way.
   */
  readonly damagedLogs: readonly string[];
  /** Sum of the sizes of `contents`. */
  readonly bytes: number;
  /** Seq of the last event that it wrote; undefined when it wrote none. */
  readonly seq?: number | undefined;
}

/** Removing the bytes of what is no longer needed, for good. The events stay, and the proofs of them. */
export interface Erasing {
  /**
   * Erases the config, manifest, index or layer blob of this digest. It is no longer readable, also in the past, and when this
   * resolves its bytes are in no file of the store: waits for a backup or verification that reads them. An event says so, with
   * `reason`, which must not be empty. The same bytes may come again later, and are readable then.
   * @throws {StoreError} DIGEST_INVALID; CONTENT_NOT_FOUND; CONTENT_ERASED when it was erased
   *   before; CONTENT_IN_USE with what needs it in `data`; DAMAGED_LOG_KEPT when a damaged log may
   *   hold it too, and may not be removed; ENVELOPE_INVALID. After the event is durable:
   *   DISK_FULL, LOG_FAILED, IO_FAILED or STORE_CLOSED when the bytes could not be removed from the
   *   disk, which the next open does
   */
  erase(digest: string, reason: string, options?: EraseOptions): Promise<ErasedContent>;
  /**
   * Erases, in one transaction, the configs, manifests and indexes that nothing in the store has needed since `before`, and removes
   * the layers that nothing uses and that were there, and unused, ever since. Reads the whole log once.
   * @throws {StoreError} TIME_INVALID, TIME_OUT_OF_RANGE, ABORTED, DAMAGED_LOG_KEPT,
   *   ENVELOPE_INVALID; afterwards as `erase`
   */
  prune(options: PruneOptions): Promise<PruneResult>;
  /** Returns what was erased and did not come again, by digest, in the order of erasing: when, by whom and why. */
  erasures(): ReadonlyMap<Digest, Erasure>;
}
