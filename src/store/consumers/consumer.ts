import { StoreError } from '../../errors.js';
import { MAX_CONSUMER_NAME_LENGTH, MAX_UNACKNOWLEDGED_EVENTS } from '../../limits.js';
import { mustBeObject, mustBeString } from '../argument-types.js';
import type { StoredEvent } from '../../model/events.js';
import type { CompiledFilter, EventFilter } from '../follow/event-filter.js';
import { encodeRecord } from '../../log/record.js';
import type { LogFollower } from '../follow/log-feed.js';
import type { StoreContext } from '../context.js';

const NAME = /^[A-Za-z0-9._-]+(?:@(?:0|[1-9][0-9]*))?$/;

/**
 * Refuses what is no name of a consumer: letters, digits, dots, dashes and underscores, then `@` and a whole number where
 * there is a version.
 * @throws {StoreError} CONSUMER_INVALID
 * @throws {TypeError} when it is no string
 */
export function checkConsumerName(name: string): void {
  mustBeString('name', name);
  if (name.length <= MAX_CONSUMER_NAME_LENGTH && NAME.test(name)) return;
  const shown = JSON.stringify(name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1));
  throw new StoreError(
    'CONSUMER_INVALID',
    `${shown} is no name of a consumer: expected 1 to ${MAX_CONSUMER_NAME_LENGTH} letters, digits, dots, dashes and underscores, with @ and a whole number at the end for a version`,
    { data: { name: name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1), limit: MAX_CONSUMER_NAME_LENGTH } },
  );
}

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
   * underscores, with `@` and a whole number at its end where a new version is to start over: `mirror@2`.
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

/** The events that a consumer was given and whose acknowledgement is not durable, by seq and in order. */
export class Unacknowledged {
  /** Given, and not acknowledged. */
  readonly #waiting = new Set<number>();
  /** Acknowledged, and not yet durable. */
  readonly #writing = new Set<number>();
  /** To wait again, in no order: many writes fail together, and their events are put in order once. */
  #restored: number[] = [];

  /** How many wait for an acknowledgement. */
  get count(): number {
    return this.#waiting.size + this.#restored.length;
  }

  /** The event that is to be acknowledged next. */
  get oldest(): number | undefined {
    this.#putInOrder();
    return firstOf(this.#waiting);
  }

  /** The oldest event whose acknowledgement is not durable. */
  get oldestUndurable(): number | undefined {
    this.#putInOrder();
    // One that failed to become durable waits again, before or after others that are being written.
    const [waiting, writing] = [firstOf(this.#waiting), firstOf(this.#writing)];
    return waiting === undefined || writing === undefined ? (waiting ?? writing) : Math.min(waiting, writing);
  }

  /** Notes that an event is given; each is later than those before. */
  give(seq: number): void {
    this.#waiting.add(seq);
  }

  /** Notes that the oldest event is acknowledged, and that this is being written. */
  acknowledge(seq: number): void {
    this.#waiting.delete(seq);
    this.#writing.add(seq);
  }

  /** Notes that a position is durable: every event up to there is done with. */
  settle(position: number): void {
    this.#putInOrder();
    for (const seqs of [this.#writing, this.#waiting]) {
      for (const seq of seqs) {
        if (seq > position) break;
        seqs.delete(seq);
      }
    }
  }

  /** Notes that an acknowledgement may not be durable: the event waits for another one. */
  restore(seq: number): void {
    if (this.#writing.delete(seq)) this.#restored.push(seq);
  }

  #putInOrder(): void {
    if (this.#restored.length === 0) return;
    const waiting = [...this.#waiting, ...this.#restored].sort((a, b) => a - b);
    this.#restored = [];
    this.#waiting.clear();
    for (const seq of waiting) this.#waiting.add(seq);
  }
}

function firstOf(seqs: ReadonlySet<number>): number | undefined {
  for (const seq of seqs) return seq;
  return undefined;
}

/** Events that a consumer passes over before its position is written without an acknowledgement. */
export const PASSED_EVENTS_PER_WRITE = 1_000;

interface LogConsumerOptions {
  readonly name: string;
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
  /** Called once, when the name may be taken again. */
  readonly onClosed: () => void;
}

type Result = IteratorResult<StoredEvent, undefined>;

/** A consumer that somebody holds. */
export class LogConsumer implements Consumer {
  readonly name: string;
  readonly #context: StoreContext;
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

  constructor(context: StoreContext, options: LogConsumerOptions) {
    this.name = options.name;
    this.#context = context;
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
    this.#context.checkOpen();
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
      if (this.#done() !== this.#written && this.#done() <= this.#context.reader.head.seq) await this.#write();
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
    const { filter, signal } = this.#options;
    const watcher = {
      giving: (event: StoredEvent) => {
        this.#unacknowledged.give(event.seq);
        this.#given.add(event);
        this.#lastGiven = event.seq;
      },
      usedUp: () => this.notePassed(),
    };
    return this.#context.reader.follower({ from, filter, signal, watcher });
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
    const { filter, start } = this.#options;
    if (!Number.isSafeInteger(seq) || seq <= start || seq > this.#lastGiven) return false;
    const given = this.#context.log.event(seq);
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
