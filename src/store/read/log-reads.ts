import type { Observable } from 'rxjs';
import type { Head } from '../../log/log.js';
import type { ChainId, ImageId } from '../../model/digest.js';
import type { EventType, StoredEvent } from '../../model/events.js';

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

/** Which events to read, and in which direction. */
export interface ReadOptions {
  /** First and last seq, inclusive, whatever the direction; default the whole log. */
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
