import type { OptionNames } from '../../model/option-names.js';
import { StoreError } from '../../errors.js';
import { MAX_CONSUMER_NAME_LENGTH, MAX_UNACKNOWLEDGED_EVENTS } from '../../limits.js';
import { equalBytes } from '../../model/bytes.js';
import { mustBeObject, mustBeString } from '../argument-types.js';
import type { StoredEvent } from '../../model/events.js';
import type { CompiledFilter, EventFilter } from '../follow/event-filter.js';
import { encodeRecord } from '../../log/record.js';
import type { LogFollower } from '../follow/log-feed.js';
import type { StoreContext } from '../context.js';

const NAME = /^[A-Za-z0-9._-]+(?:@(?:0|[1-9][0-9]*))?$/;

/**
 * Checks a consumer name: letters, digits, dots, dashes and underscores, then optionally `@` and a
 * whole-number version.
 * @throws {StoreError} CONSUMER_INVALID
 * @throws {TypeError} when it is not a string
 */
export function checkConsumerName(name: string): void {
  mustBeString('name', name);
  if (name.length <= MAX_CONSUMER_NAME_LENGTH && NAME.test(name)) return;
  const shown = JSON.stringify(name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1));
  throw new StoreError(
    'CONSUMER_INVALID',
    `${shown} is not a name of a consumer: expected 1 to ${MAX_CONSUMER_NAME_LENGTH} letters, digits, dots, dashes and underscores, with @ and a whole number at the end for a version`,
    { data: { name: name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1), limit: MAX_CONSUMER_NAME_LENGTH } },
  );
}

/** Options of `consumer`. */
export interface ConsumerOptions {
  /** First seq to deliver if the name has no position yet; default 1. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const consumerOptionNames: OptionNames<ConsumerOptions> = { from: true, filter: true, signal: true };

/**
 * A named subscriber with a durable position. Delivers every event that passes the filter at least
 * once, in order. An iteration that was left, as by an error in its body, leaves events
 * unacknowledged: the next iteration begins at the first of them, and so does the next consumer of
 * that name. Iteration ends when the store closes, fails with ACKS_MISSING once
 * MAX_UNACKNOWLEDGED_EVENTS are unacknowledged, and otherwise fails as a follower does.
 */
export interface Consumer extends AsyncIterable<StoredEvent>, AsyncDisposable {
  readonly name: string;
  /**
   * Every event up to here is durably acknowledged or filtered out. Filtered-out events are saved
   * with the next acknowledgement, after 1,000 of them, and when the consumer or store closes.
   */
  readonly position: number;
  /** The seq of the last event of the log. */
  readonly head: number;
  /**
   * Resolves when every event in the log at this call was delivered or filtered out. Needs someone
   * to iterate.
   * @throws {StoreError} CONSUMER_CLOSED; as `caughtUp` of a follower
   */
  caughtUp(): Promise<void>;
  /**
   * Acknowledges `event`; resolves once durable. Events must be acknowledged in delivery order,
   * without gaps; concurrent calls share one sync. If the write fails, retry it; `close` also
   * writes the position again.
   * @throws {StoreError} ACK_OUT_OF_ORDER unless it is the oldest unacknowledged event; ACK_FOREIGN
   *   for an event this consumer did not deliver; CONSUMER_CLOSED; those of every write
   */
  ack(event: StoredEvent): Promise<void>;
  /**
   * Acknowledges every delivered event up to and with `event`, in one write; resolves once durable.
   * For events handled in batches.
   * @throws {StoreError} as `ack`; ACK_OUT_OF_ORDER only for an event acknowledged already
   */
  ackThrough(event: StoredEvent): Promise<void>;
  /**
   * Ends the iteration, writes the position and frees the name. Ending the iteration alone does
   * not.
   * @throws {StoreError} those of every write; the name is freed even so
   */
  close(): Promise<void>;
}

/** The state of a consumer. */
export interface ConsumerState {
  readonly name: string;
  /** Every event up to here is done with. */
  readonly position: number;
  /** Number of events after its position that pass its filter, or the one it had when it was open last. */
  readonly behind: number;
  /** Set when `behind` is a lower bound: MAX_COUNTED_EVENTS events were read to count it. */
  readonly atLeast?: true | undefined;
  /**
   * That filter, with times in milliseconds; undefined for every event. `log.read` with it, from after the position, gives the
   * events that the consumer waits for.
   */
  readonly filter?: EventFilter | undefined;
  /** When its position was last written, milliseconds since the epoch; undefined if never. */
  readonly updatedAt: number | undefined;
  /** Whether it is open in this process. */
  readonly held: boolean;
}

/** Named subscribers. */
export interface Consumers {
  /**
   * Opens the consumer `name`, which resumes at its position. A name is 1 to 128 letters, digits,
   * dots, dashes and underscores; add `@` and a whole number for a new version that starts over:
   * `mirror@2`.
   * @throws {StoreError} CONSUMER_INVALID, CONSUMER_TAKEN while it is open, STORE_READ_ONLY,
   *   FILTER_INVALID and other filter errors, LOG_CORRUPT when its position is beyond the head
   */
  consumer(name: string, options?: ConsumerOptions): Consumer;
  /**
   * Resolves with every consumer that has a position or is open, sorted by name.
   * @throws {StoreError} LOG_CORRUPT when a position is damaged or beyond the head;
   *   STORE_FORMAT_UNSUPPORTED when a newer version wrote the filter of one
   */
  consumers(): Promise<ConsumerState[]>;
  /**
   * Durably sets the position of a consumer that is not open; it resumes after `position`.
   * @throws {StoreError} CONSUMER_NOT_FOUND, CONSUMER_TAKEN, TIME_OUT_OF_RANGE when beyond the head
   */
  resetConsumer(name: string, position: number): Promise<void>;
  /** Removes a closed consumer. @throws {StoreError} CONSUMER_NOT_FOUND, CONSUMER_TAKEN */
  removeConsumer(name: string): Promise<void>;
}

/** Delivered events whose acknowledgement is not yet durable, by seq in order. */
export class Unacknowledged {
  /** Delivered, not acknowledged. */
  readonly #waiting = new Set<number>();
  /** Acknowledged, not yet durable. */
  readonly #writing = new Set<number>();
  /** Those of the waiting that an iteration which was left delivered, and this one did not yet. */
  readonly #again = new Set<number>();
  /** Waiting to be put back, unordered: many writes fail together and are sorted once. */
  #restored: number[] = [];

  /** Number of unacknowledged events, without those still to be delivered again. */
  get count(): number {
    return this.#waiting.size + this.#restored.length - this.#again.size;
  }

  /** The event to acknowledge next. */
  get oldest(): number | undefined {
    this.#putInOrder();
    return firstOf(this.#waiting);
  }

  get oldestUndurable(): number | undefined {
    this.#putInOrder();
    // A failed write puts its event back, before or after others still being written.
    const [waiting, writing] = [firstOf(this.#waiting), firstOf(this.#writing)];
    return waiting === undefined || writing === undefined ? (waiting ?? writing) : Math.min(waiting, writing);
  }

  /** Returns the unacknowledged events up to and with `seq`, in order. */
  upTo(seq: number): number[] {
    this.#putInOrder();
    const seqs: number[] = [];
    for (const each of this.#waiting) {
      if (each > seq) break;
      seqs.push(each);
    }
    return seqs;
  }

  /** Adds a delivered event; seqs must ascend, except of those delivered again. */
  give(seq: number): void {
    if (!this.#again.delete(seq)) this.#waiting.add(seq);
  }

  /** Has all that wait delivered again. */
  giveAgain(): void {
    this.#putInOrder();
    for (const seq of this.#waiting) this.#again.add(seq);
  }

  /** Whether an event waits to be delivered again. */
  isToGiveAgain(seq: number): boolean {
    return this.#again.has(seq);
  }

  /** Marks the oldest event as acknowledged and being written. */
  acknowledge(seq: number): void {
    this.#waiting.delete(seq);
    this.#again.delete(seq);
    this.#writing.add(seq);
  }

  /** Removes every event up to `position`, which is durable. */
  settle(position: number): void {
    this.#putInOrder();
    for (const seqs of [this.#writing, this.#waiting, this.#again]) {
      for (const seq of seqs) {
        if (seq > position) break;
        seqs.delete(seq);
      }
    }
  }

  /** Puts back an event whose acknowledgement may not be durable. */
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

/** Filtered-out events after which the position is written without an acknowledgement. */
export const PASSED_EVENTS_PER_WRITE = 1_000;

interface LogConsumerOptions {
  readonly name: string;
  /**
   * Writes the position and resolves with it once durable. `seq` is called at the time of the
   * write, so queued writes write the newest.
   */
  readonly write: (seq: () => number) => Promise<number>;
  /** Reports that the position could not be written; nothing is lost. */
  readonly notWritten: (error: unknown) => void;
  readonly filter: CompiledFilter;
  /** The filter as it was given, a copy. */
  readonly given: EventFilter | undefined;
  readonly signal: AbortSignal | undefined;
  /** The durable position, if any. */
  readonly written: number | undefined;
  /** The position to start after. */
  readonly start: number;
  /** Called once, when the name is free again. */
  readonly onClosed: () => void;
}

type Result = IteratorResult<StoredEvent, undefined>;

export class LogConsumer implements Consumer {
  readonly name: string;
  readonly #context: StoreContext;
  readonly #options: LogConsumerOptions;
  readonly #unacknowledged = new Unacknowledged();
  /** The delivered objects themselves: saves comparing an event that is one of them. */
  readonly #given = new WeakSet<StoredEvent>();
  #lastGiven = 0;
  /** Events of this iteration that were acknowledged since it began to deliver them again. */
  readonly #skipped = new WeakSet<StoredEvent>();
  /** Every event up to here was delivered or filtered out by an earlier iteration. */
  #passed = 0;
  /** The newest acknowledged event, durable or not: nothing up to it is delivered again. */
  #acknowledged = 0;
  /** Number of pending `next` calls. */
  #asking = 0;
  #follower: LogFollower;
  /** The durable position; undefined without one. */
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

  get filter(): CompiledFilter {
    return this.#options.filter;
  }

  get given(): EventFilter | undefined {
    return this.#options.given;
  }

  get position(): number {
    const oldest = this.#unacknowledged.oldestUndurable;
    return oldest === undefined ? this.#reached : oldest - 1;
  }

  get head(): number {
    return this.#context.reader.head.seq;
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
    this.#needGiven(event);
    const { oldest } = this.#unacknowledged;
    if (event.seq !== oldest) throw this.#outOfOrder(event.seq, oldest);
    await this.#acknowledge([event.seq]);
  }

  async ackThrough(event: StoredEvent): Promise<void> {
    this.#needGiven(event);
    const seqs = this.#unacknowledged.upTo(event.seq);
    if (seqs.at(-1) !== event.seq) throw this.#outOfOrder(event.seq, this.#unacknowledged.oldest);
    await this.#acknowledge(seqs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes the position if many events were filtered out since and none is unacknowledged. */
  notePassed(): void {
    if (this.#isWriting || this.#closing !== undefined || this.#unacknowledged.oldestUndurable !== undefined) return;
    if (this.#reached - (this.#written ?? this.#options.start) < PASSED_EVENTS_PER_WRITE) return;
    this.#isWriting = true;
    // Not awaited: if it fails, the next consumer of this name filters the same events again.
    this.#write()
      .catch(this.#options.notWritten)
      .finally(() => {
        this.#isWriting = false;
      });
  }

  async #close(): Promise<void> {
    try {
      void this.#follower.return();
      // A consumer of the future has a position beyond the head: written, it would look corrupt.
      if (this.#done() !== this.#written && this.#done() <= this.#context.reader.head.seq) await this.#write();
    } finally {
      this.#options.onClosed();
    }
  }

  /** Every event up to here was delivered or filtered out. */
  get #reached(): number {
    return Math.max(this.#follower.position, this.#passed);
  }

  /** Starts a new iteration at the oldest unacknowledged event, else where the previous one ended. */
  #goOn(): void {
    if (!this.#follower.isOver || this.#closing !== undefined) return;
    this.#passed = this.#reached;
    this.#unacknowledged.giveAgain();
    this.#follower = this.#follow(this.#unacknowledged.oldest ?? this.#passed + 1);
  }

  #follow(from: number): LogFollower {
    const { filter, signal } = this.#options;
    const watcher = {
      giving: (event: StoredEvent) => {
        const { seq } = event;
        if (seq <= this.#lastGiven && !this.#unacknowledged.isToGiveAgain(seq)) {
          this.#skipped.add(event);
          return;
        }
        this.#unacknowledged.give(seq);
        this.#given.add(event);
        this.#lastGiven = Math.max(this.#lastGiven, seq);
      },
      usedUp: () => this.notePassed(),
    };
    return this.#context.reader.follower({ from, filter, signal, watcher });
  }

  async #next(follower: LogFollower): Promise<Result> {
    if (this.#unacknowledged.count + this.#asking >= MAX_UNACKNOWLEDGED_EVENTS) {
      throw new StoreError(
        'ACKS_MISSING',
        `the consumer ${this.name} was given ${MAX_UNACKNOWLEDGED_EVENTS} events that it did not acknowledge, from event ${this.#unacknowledged.oldest} on`,
        { data: { name: this.name, limit: MAX_UNACKNOWLEDGED_EVENTS, oldest: this.#unacknowledged.oldest } },
      );
    }
    this.#asking++;
    try {
      for (;;) {
        const result = await follower.next();
        if (result.done === true || !this.#skipped.delete(result.value)) return result;
      }
    } finally {
      this.#asking--;
    }
  }

  #needGiven(event: StoredEvent): void {
    mustBeObject('event', event);
    this.#context.checkOpen();
    if (this.#closing !== undefined) throw this.#closedError();
    if (this.#wasGiven(event)) return;
    const data = { name: this.name, seq: event.seq, expected: this.#unacknowledged.oldest };
    throw new StoreError('ACK_FOREIGN', `the consumer ${this.name} did not give this event ${event.seq}`, { data });
  }

  async #acknowledge(seqs: readonly number[]): Promise<void> {
    for (const seq of seqs) this.#unacknowledged.acknowledge(seq);
    this.#acknowledged = Math.max(this.#acknowledged, seqs.at(-1) ?? 0);
    try {
      // A crash before this write is durable delivers the events again; after it, never.
      await this.#write();
    } catch (error) {
      for (const seq of seqs) this.#unacknowledged.restore(seq);
      throw error;
    }
  }

  #outOfOrder(seq: number, oldest: number | undefined): StoreError {
    const isDone = oldest === undefined || seq < oldest;
    const why = isDone ? 'it is acknowledged already' : unhandled(oldest);
    return new StoreError('ACK_OUT_OF_ORDER', `the consumer ${this.name} cannot acknowledge event ${seq}: ${why}`, {
      data: { name: this.name, seq, expected: oldest },
    });
  }

  #wasGiven(event: StoredEvent): boolean {
    if (this.#given.has(event)) return true;
    const { seq } = event;
    const { filter, start } = this.#options;
    if (!Number.isSafeInteger(seq) || seq <= start || seq > this.#lastGiven) return false;
    const given = this.#context.log.event(seq);
    return given !== undefined && (filter.passes?.(given) ?? true) && isSameEvent(given, event);
  }

  /** Returns the seq up to which all is acknowledged, durably or not, or filtered out. */
  #done(): number {
    const { oldest } = this.#unacknowledged;
    const done = oldest === undefined ? this.#reached : oldest - 1;
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

/** Says what to do about an event that was delivered and not acknowledged. */
function unhandled(seq: number): string {
  return (
    `event ${seq} was delivered before and is not acknowledged, as after an error in the code that handles it. ` +
    `A new iteration begins at event ${seq}`
  );
}

/** Whether two events have the same record. */
function isSameEvent(event: StoredEvent, other: StoredEvent): boolean {
  try {
    return equalBytes(encodeRecord(event), encodeRecord(other));
  } catch {
    // Not shaped like an event.
    return false;
  }
}
