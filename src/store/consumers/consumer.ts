import type { StoredEvent } from '../../model/events.js';
import type { EventFilter } from '../read/log-reads.js';

/** How a consumer is opened. */
export interface ConsumerOptions {
  /** First seq to give when the name has no position yet; default 1. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A named subscriber whose position outlives the process. Every event that passes the filter is given at least once, in
 * order; what was given and not acknowledged is given again by the next one of that name. An iteration that begins after
 * another one goes on where that ended. It ends when the store is closed, and fails with ACKS_MISSING when
 * MAX_UNACKNOWLEDGED_EVENTS were given that nobody acknowledged, and otherwise as a follower does.
 */
export interface Consumer extends AsyncIterable<StoredEvent>, AsyncDisposable {
  readonly name: string;
  /**
   * Every event up to here is done with: durably acknowledged, or passed over by the filter. What is passed over is written
   * with the next acknowledgement, after 1,000 events, and when the consumer or the store is closed.
   */
  readonly position: number;
  /**
   * Resolves when every event of this moment was given or passed over, which somebody must iterate for.
   * @throws {StoreError} CONSUMER_CLOSED; as `caughtUp` of a follower
   */
  caughtUp(): Promise<void>;
  /**
   * Notes that `event` is handled; resolves when that is durable. Events are acknowledged in the order in which they were
   * given, none left out; calls that run together share one sync.
   * After an error of the write the event waits for another call, or for `close`, which writes the position once more.
   * @throws {StoreError} ACK_OUT_OF_ORDER for another than the oldest that waits; ACK_FOREIGN for an event that this
   *   consumer did not give; CONSUMER_CLOSED; those of every write
   */
  ack(event: StoredEvent): Promise<void>;
  /**
   * Ends the iteration, writes the position, and lets the name be taken again. Ending the iteration does not do so.
   * @throws {StoreError} those of every write; the name is free all the same
   */
  close(): Promise<void>;
}

/** What is known of a consumer. */
export interface ConsumerState {
  readonly name: string;
  /** Every event up to here is done with. */
  readonly position: number;
  /** Events after its position, whether or not they pass its filter. */
  readonly behind: number;
  /** When its position was last written, milliseconds since the epoch; undefined for one that has none yet. */
  readonly updatedAt: number | undefined;
  /** Whether somebody holds it in this process. */
  readonly held: boolean;
}

/** Named subscribers. */
export interface Consumers {
  /**
   * Takes the consumer `name`, which begins where it left off. A name is 1 to 128 letters, digits, dots, dashes and
   * underscores, with `@` and a whole number at its end where a new version is to begin anew: `mirror@2`.
   * @throws {StoreError} CONSUMER_INVALID, CONSUMER_TAKEN while somebody holds it, STORE_READ_ONLY, FILTER_INVALID and what
   *   else a filter is refused with, LOG_CORRUPT when its position is beyond the head
   */
  consumer(name: string, options?: ConsumerOptions): Consumer;
  /**
   * Every consumer that has a position or is held, sorted by name.
   * @throws {StoreError} LOG_CORRUPT when a position is damaged or beyond the head
   */
  consumers(): Promise<ConsumerState[]>;
  /**
   * Sets the position of a consumer that nobody holds, durably: it goes on with the event after `position`.
   * @throws {StoreError} CONSUMER_NOT_FOUND, CONSUMER_TAKEN, TIME_OUT_OF_RANGE when it is beyond the head
   */
  resetConsumer(name: string, position: number): Promise<void>;
  /** Forgets a consumer that nobody holds. @throws {StoreError} CONSUMER_NOT_FOUND, CONSUMER_TAKEN */
  removeConsumer(name: string): Promise<void>;
}
