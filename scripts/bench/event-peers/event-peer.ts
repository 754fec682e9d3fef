import type { StoredEvent } from '../../../src/model/events.js';

/** An event that a store of events takes: a name that begins to point at an image. */
export type SmallEvent = Extract<StoredEvent, { readonly type: 'ReferenceSet' }>;

/** What ends a subscription. */
export type Unsubscribe = () => Promise<void>;

/** A store of events, ours or another's, that does the same work. */
export interface EventPeer extends AsyncDisposable {
  readonly name: string;
  /** How it was set up, and what is durable when it says so. */
  readonly settings: string;
  /** Appends `events` as one commit; they are durable when it resolves. */
  append(events: readonly SmallEvent[]): Promise<void>;
  /** Reads every event from the first on, each decoded, and returns how many there were. */
  readAll(): Promise<number>;
  /** Makes ready what the next subscription needs and is not about: a connection of its own. Absent where it needs nothing. */
  readonly connect?: (() => Promise<void>) | undefined;
  /**
   * Calls `take` for every event from the first on, or from the end on, and for those that come. Resolves when that has begun.
   * Undefined for a store that tells nobody of its events.
   */
  readonly subscribe?: ((from: 'start' | 'end', take: () => void) => Promise<Unsubscribe>) | undefined;
}

/** Opens a store of events in an empty directory. */
export type OpenEventPeer = (directory: string) => Promise<EventPeer>;
