import type { StoredEvent } from '../../../src/model/events.js';

/** Event for all peers: a name that starts pointing at an image. */
export type SmallEvent = Extract<StoredEvent, { readonly type: 'ReferenceSet' }>;

/** Ends a subscription. */
export type Unsubscribe = () => Promise<void>;

/** An event store, ours or another, that does the same work. */
export interface EventPeer extends AsyncDisposable {
  readonly name: string;
  readonly settings: string;
  /** Appends `events` as one commit; durable on return. */
  append(events: readonly SmallEvent[]): Promise<void>;
  /** Reads and decodes all events; returns how many there were. */
  readAll(): Promise<number>;
  /** Prepares the connection of the next subscription; absent if not needed. */
  readonly connect?: (() => Promise<void>) | undefined;
  /**
   * Calls `take` for every event from the start or end, and for new ones. Resolves once started.
   * Undefined if the store has no subscriptions.
   */
  readonly subscribe?: ((from: 'start' | 'end', take: () => void) => Promise<Unsubscribe>) | undefined;
}

/** Opens an event store in an empty directory. */
export type OpenEventPeer = (directory: string) => Promise<EventPeer>;
