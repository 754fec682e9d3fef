import type { Observable } from 'rxjs';
import type { Head } from '../../log/log.js';
import type { ChainId, ImageId } from '../../model/digest.js';
import type { EventType, StoredEvent } from '../../model/events.js';

/**
 * Which events to read: all of the given facts must hold, each by any of its values. A filter that no event can pass
 * is refused, as it would look like an empty log: an empty list, an empty text, `since` after `until`, or types and
 * subjects that no event has together.
 */
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

/** Which events to read, and in which direction. */
export interface ReadOptions {
  /** First and last seq, inclusive, whatever the direction; default 1 and the head at the call. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which events to follow. */
export interface FollowOptions {
  /** First seq to give; default the one after the head. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The events from one seq on, for ever: those there are, then each as it becomes durable, none left out and none twice.
 * It is never dropped for being slow, and holds no more than one page of events (MAX_PAGE_EVENTS) however far it is
 * behind. Calls of `next` that wait together are answered in order. It ends when the store is closed.
 */
export interface Follower extends AsyncIterableIterator<StoredEvent>, AsyncDisposable {
  /** Every event up to here was given, or passed over by the filter. */
  readonly position: number;
  /**
   * Resolves when every event that is in the log at this call was given or passed over, which somebody must iterate for.
   * @throws {StoreError} ABORTED when the iteration ended before; STORE_CLOSED when the store was closed before; what
   *   the iteration fails with
   */
  caughtUp(): Promise<void>;
  /** Ends it at once: a `next` that waits is answered with the end. */
  return(): Promise<IteratorResult<StoredEvent, undefined>>;
}

/** The event log of a store, for reading. Events are checked for gaps and against their leaf hashes before they are given. */
export interface StoreLog {
  /** The last event that every view has folded. */
  readonly head: Head;
  /**
   * Returns events in order, once. With a filter that names images, references, chains or actors it costs what is about
   * them, not what the log holds.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID at the call; the iteration fails with
   *   STORE_CLOSED, ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  read(options?: ReadOptions): AsyncIterableIterator<StoredEvent>;
  /**
   * Returns a follower of the log. One that has caught up costs a writer nothing until an event passes its filter.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID at the call; the iteration fails with
   *   ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  follow(options?: FollowOptions): Follower;
  /**
   * Each event as it becomes durable, after every view has folded its transaction. Subscribers are called before the
   * write resolves, so be brief. What one throws goes where RxJS sends it, to its own error channel or as an uncaught
   * exception in a later turn: neither the writer nor any other subscriber notices.
   */
  readonly events$: Observable<StoredEvent>;
}
