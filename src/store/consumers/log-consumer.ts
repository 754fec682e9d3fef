import { StoreError } from '../../errors.js';
import { MAX_UNACKNOWLEDGED_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import { encodeRecord } from '../../log/record.js';
import type { StoredEvent } from '../../model/events.js';
import { mustBeObject } from '../argument-types.js';
import type { CompiledFilter } from '../read/event-filter.js';
import type { LogFollower } from '../read/log-follower.js';
import type { EventReader } from '../read/event-reader.js';
import type { Consumer } from './consumer.js';
import { Unacknowledged } from './unacknowledged.js';

/** Events that a consumer passes over before its position is written without an acknowledgement. */
export const PASSED_EVENTS_PER_WRITE = 1_000;

export interface LogConsumerOptions {
  readonly name: string;
  readonly log: Log;
  readonly reader: EventReader;
  /**
   * Writes the position; resolves with it when it is durable. `seq` is called when the write is made, so that several that
   * wait write the newest.
   */
  readonly write: (seq: () => number) => Promise<number>;
  /** Told that the position could not be written, and that nothing is lost by it. */
  readonly notWritten: (error: unknown) => void;
  readonly filter: CompiledFilter;
  readonly signal: AbortSignal | undefined;
  /** The position that is written, if any. */
  readonly written: number | undefined;
  /** The position to begin after. */
  readonly start: number;
  /** @throws {StoreError} when the store is closed */
  readonly checkOpen: () => void;
  /** Called once, when the name may be taken again. */
  readonly onClosed: () => void;
}

type Result = IteratorResult<StoredEvent, undefined>;

/** A consumer that somebody holds. */
export class LogConsumer implements Consumer {
  readonly name: string;
  readonly #options: LogConsumerOptions;
  readonly #unacknowledged = new Unacknowledged();
  /** The very objects that were given: an event that is one of them needs no comparing. */
  readonly #given = new WeakSet<StoredEvent>();
  #lastGiven = 0;
  /** The newest event that was acknowledged, durably or not: what is before it need not be given again. */
  #acknowledged = 0;
  /** Calls of `next` that wait for an event. */
  #asking = 0;
  #follower: LogFollower;
  /** The position that is written; undefined when none is. */
  #written: number | undefined;
  #isWriting = false;
  #closing: Promise<void> | undefined;

  constructor(options: LogConsumerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#written = options.written;
    this.#follower = this.#follow(options.start + 1);
  }

  get position(): number {
    const oldest = this.#unacknowledged.oldestUndurable;
    return oldest === undefined ? this.#follower.position : oldest - 1;
  }

  caughtUp(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closedError());
    this.#goOn();
    return this.#follower.caughtUp();
  }

  [Symbol.asyncIterator](): AsyncIterator<StoredEvent, undefined> {
    this.#goOn();
    const follower = this.#follower;
    return { next: () => this.#next(follower), return: () => follower.return() };
  }

  async ack(event: StoredEvent): Promise<void> {
    mustBeObject('event', event);
    this.#options.checkOpen();
    if (this.#closing !== undefined) throw this.#closedError();
    this.#checkAck(event);
    const { seq } = event;
    this.#unacknowledged.acknowledge(seq);
    this.#acknowledged = Math.max(this.#acknowledged, seq);
    try {
      // A crash before this is durable gives the event again; after it, never.
      await this.#write();
    } catch (error) {
      this.#unacknowledged.restore(seq);
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes the position when many events were passed over since it was written, and none waits to be acknowledged. */
  notePassed(): void {
    if (this.#isWriting || this.#closing !== undefined || this.#unacknowledged.oldestUndurable !== undefined) return;
    if (this.#follower.position - (this.#written ?? this.#options.start) < PASSED_EVENTS_PER_WRITE) return;
    this.#isWriting = true;
    // Nobody waits for it: without it, the next one of this name passes over the same events again.
    this.#write()
      .catch(this.#options.notWritten)
      .finally(() => {
        this.#isWriting = false;
      });
  }

  async #close(): Promise<void> {
    try {
      void this.#follower.return();
      // The position of a consumer of the future is beyond the head: written, it would look like damage.
      if (this.#done() !== this.#written && this.#done() <= this.#options.reader.head.seq) await this.#write();
    } finally {
      this.#options.onClosed();
    }
  }

  /** Begins another iteration where the one before ended. */
  #goOn(): void {
    if (!this.#follower.isOver || this.#closing !== undefined) return;
    this.#follower = this.#follow(this.#follower.position + 1);
  }

  #follow(from: number): LogFollower {
    const { reader, filter, signal } = this.#options;
    const watcher = {
      giving: (event: StoredEvent) => {
        this.#unacknowledged.give(event.seq);
        this.#given.add(event);
        this.#lastGiven = event.seq;
      },
      usedUp: () => this.notePassed(),
    };
    return reader.follower({ from, filter, signal, watcher });
  }

  async #next(follower: LogFollower): Promise<Result> {
    if (this.#unacknowledged.count + this.#asking >= MAX_UNACKNOWLEDGED_EVENTS) {
      throw new StoreError(
        'ACKS_MISSING',
        `the consumer ${this.name} was given ${MAX_UNACKNOWLEDGED_EVENTS} events that it did not acknowledge, from seq ${this.#unacknowledged.oldest} on`,
        { data: { name: this.name, limit: MAX_UNACKNOWLEDGED_EVENTS, oldest: this.#unacknowledged.oldest } },
      );
    }
    this.#asking++;
    try {
      return await follower.next();
    } finally {
      this.#asking--;
    }
  }

  #checkAck(event: StoredEvent): void {
    const { oldest } = this.#unacknowledged;
    const data = { name: this.name, seq: event.seq, expected: oldest };
    if (!this.#wasGiven(event)) {
      throw new StoreError('ACK_FOREIGN', `the consumer ${this.name} did not give this event ${event.seq}`, { data });
    }
    if (event.seq === oldest) return;
    const why = oldest === undefined || event.seq < oldest ? 'it is acknowledged already' : `${oldest} comes first`;
    throw new StoreError(
      'ACK_OUT_OF_ORDER',
      `the consumer ${this.name} cannot acknowledge event ${event.seq}: ${why}`,
      {
        data,
      },
    );
  }

  #wasGiven(event: StoredEvent): boolean {
    if (this.#given.has(event)) return true;
    const { seq } = event;
    const { log, filter, start } = this.#options;
    if (!Number.isSafeInteger(seq) || seq <= start || seq > this.#lastGiven) return false;
    const given = log.event(seq);
    return given !== undefined && (filter.passes?.(given) ?? true) && isSameEvent(given, event);
  }

  /** Everything up to here need not be given again: acknowledged, though perhaps not durably, or passed over. */
  #done(): number {
    const { oldest } = this.#unacknowledged;
    const done = oldest === undefined ? this.#follower.position : oldest - 1;
    return Math.max(done, this.#acknowledged);
  }

  async #write(): Promise<void> {
    const written = await this.#options.write(() => this.#done());
    this.#written = Math.max(written, this.#written ?? 0);
    this.#unacknowledged.settle(written);
  }

  #closedError(): StoreError {
    return new StoreError('CONSUMER_CLOSED', `the consumer ${this.name} is closed`, { data: { name: this.name } });
  }
}

/** Whether two events have the same record. */
function isSameEvent(event: StoredEvent, other: StoredEvent): boolean {
  let record: Uint8Array;
  try {
    record = encodeRecord(other);
  } catch {
    // Not even shaped like an event.
    return false;
  }
  const expected = encodeRecord(event);
  return expected.length === record.length && expected.every((byte, at) => byte === record[at]);
}
