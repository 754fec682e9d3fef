import type { Erasure } from '../../../projections/erasures.js';
import type { LogPoint } from '../../log/log.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts, PlatformImage, StoredEvent } from '../../model/events.js';
import type { Platform } from '../../model/platform.js';
import type { Subject } from '../../model/subjects.js';
import type { ReadOptions } from '../read/log-reads.js';
import type { ReferenceEntry, Store } from '../store.js';

/**
 * A point in time: a seq, which is exact; or a moment, as a Date or in RFC 3339, which takes every event up to and with that
 * millisecond. Without a zone it is UTC; a date alone is the end of that day, or now on the present
 * day. `now` is the end of the log; so is the present moment by the store's clock, also when the
 * clock ran ahead once and the last events have times to come.
 */
export type When = number | Date | string;

/** The members of a store that only read its images, answering as of one seq. */
export type ImageReads = Pick<
  Store,
  'get' | 'search' | 'getParent' | 'getLastUpdated' | 'isBuiltLocally' | 'children' | 'map' | 'heads' | 'len'
>;

/**
 * A store as it was after one event. It keeps its answers while the store goes on. A view is made when a member first needs it,
 * which takes time and memory as opening the store does, a few views of nine. Images deleted since are there, as long as
 * their content is: reading a config that was erased since throws CONTENT_ERASED. Beside what it says, each member may throw CONTENT_CORRUPT for a damaged snapshot, and STORE_CLOSED.
 */
export interface PastStore extends ImageReads {
  /** The last event that it has folded; 0 is the store before the first. */
  readonly seq: number;
  /** Time of that event, milliseconds since the epoch; 0 when there is none. */
  readonly time: number;
  /** @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID */
  getMetadata(id: ImageId, key: string): Uint8Array;
  /** @throws {StoreError} REFERENCE_NOT_FOUND, REFERENCE_INVALID, PLATFORM_NOT_FOUND, PLATFORM_INVALID */
  resolve(reference: string, options?: { readonly platform?: Platform | string | undefined }): ImageId;
  /** Canonical references of an image, sorted. */
  references(id: ImageId): string[];
  /** Every reference, sorted by name. */
  referenceEntries(): ReferenceEntry[];
  /** What was erased then and had not come again. What was erased since is not in it, and cannot be read either. */
  erasures(): ReadonlyMap<Digest, Erasure>;
  /** What is known of each layer; the files of those that were removed since are gone. */
  readonly layers: {
    /** @throws {StoreError} LAYER_NOT_FOUND */
    get(chainId: ChainId): LayerFacts;
    /** Every layer, in the order in which they were added. */
    map(): ReadonlyMap<ChainId, LayerFacts>;
  };
}

/** One period in which a reference stood for one thing: from its event up to, and without, the one that ended it. */
export interface ReferenceInterval {
  readonly reference: string;
  readonly image: ImageId;
  /** The image it pointed at just before; absent when it pointed at none. */
  readonly previous?: ImageId | undefined;
  /** Digest of the manifest or index that it stood for, when it came with one. */
  readonly target?: Digest | undefined;
  /** The image of each platform, when it stood for several. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Moment (milliseconds since the epoch) and seq of the event that began it, with who did it, why, and for which request. */
  readonly from: number;
  readonly seq: number;
  readonly actor: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** Moment and seq of the event that ended it; absent while it lasts. */
  readonly until?: number | undefined;
  readonly untilSeq?: number | undefined;
  /** Who removed the reference, and why, when it ended so and not by moving. */
  readonly removedBy?: string | undefined;
  readonly removedReason?: string | undefined;
}

/** One thing that is not as it was: `before` is absent when it was added, `after` when it was removed. */
export interface Change<Value> {
  readonly change: 'added' | 'removed' | 'changed';
  readonly before?: Value | undefined;
  readonly after?: Value | undefined;
  /** The last event that changed it. */
  readonly event: StoredEvent;
}

/** What is different between two points in time, each list in the order of the events. */
export interface StoreDiff {
  readonly from: LogPoint;
  readonly to: LogPoint;
  readonly images: readonly (Change<ImageId> & { readonly image: ImageId })[];
  readonly references: readonly (Change<ReferenceEntry> & { readonly reference: string })[];
  readonly parents: readonly (Change<ImageId> & { readonly image: ImageId })[];
  readonly metadata: readonly (Change<Uint8Array> & { readonly image: ImageId; readonly key: string })[];
  readonly layers: readonly (Change<LayerFacts> & { readonly chainId: ChainId })[];
}

/** Which events of a subject to give. */
export type HistoryOptions = Omit<ReadOptions, 'filter'> & Pick<NonNullable<ReadOptions['filter']>, 'type'>;

/** Questions at the past. */
export interface AuditReads {
  /**
   * Events about a subject, in order or, with `reverse`, the newest first: page with `limit`, and `from` or `to` beside the
   * last seq that came. Costs what it gives. A string is an image id, a chain id, or a reference in any form.
   * @throws {StoreError} while it is iterated: SUBJECT_NOT_FOUND when no event at all is about it; REFERENCE_INVALID;
   *   FILTER_INVALID for a type that no event about it can have; ABORTED
   */
  history(subject: Subject | string, options?: HistoryOptions): AsyncIterable<StoredEvent>;
  /**
   * Every period of a reference, the oldest first, from the index alone. Setting it again to what it stands for begins none.
   * @throws {StoreError} REFERENCE_NOT_FOUND when it never pointed at anything; REFERENCE_INVALID
   */
  referenceHistory(reference: string): Promise<ReferenceInterval[]>;
  /**
   * The store as it was: after event `when`, or at that moment, where a transaction is whole or not at all.
   * @throws {StoreError} TIME_INVALID; TIME_OUT_OF_RANGE for a moment to come or a seq after the head; ABORTED
   */
  at(when: When, options?: { readonly signal?: AbortSignal | undefined }): Promise<PastStore>;
  /**
   * What changed after `from` up to and with `to`. What came and went in between is not in it.
   * @throws {StoreError} as `at`; TIME_OUT_OF_RANGE also when `to` is before `from`
   */
  diff(from: When, to: When, options?: { readonly signal?: AbortSignal | undefined }): Promise<StoreDiff>;
}
