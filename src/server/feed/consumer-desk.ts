import { isStoreError, StoreError } from '../../errors.js';
import { CONSUMER_LEASE_MS, MAX_CONSUMER_BATCH_BYTES, MAX_KEPT_FILTER_BYTES } from '../../limits.js';
import type { StoredEvent } from '../../model/events.js';
import { checkConsumerName, type ConsumerState } from '../../store/consumers/consumer.js';
import type { EventStore } from '../../store/event-store.js';
import type { EventFilter } from '../../store/follow/event-filter.js';
import { HttpFailure } from '../failure.js';
import { beyondHead, checkedFilter, checkStart, requestInvalid } from './feed-query.js';

/** Filtered-out events after which the position moves without an acknowledgement. */
const PASSED_EVENTS_PER_WRITE = 1_000;

/** What is known of a consumer; read again after CONSUMER_LEASE_MS. */
interface Known {
  readonly filter: EventFilter | undefined;
  readonly filterKey: string;
  readonly readAtMs: number;
  position: number;
}

/** Events for a consumer. */
export interface Batch {
  /** Each encoded. */
  readonly events: readonly string[];
  readonly position: number;
  /** Acknowledging this acknowledges the events of the batch, and all that the filter left out beside them. */
  readonly through: number;
  readonly head: number;
}

interface BatchOptions {
  readonly limit: number;
  /** Milliseconds to wait for the next event. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly encode: (event: StoredEvent) => string;
}

/**
 * Consumers for clients that come and go. Nothing of a client is kept but its position, in the
 * store: what was given and not acknowledged is given again, after a restart of either side too.
 */
export class ConsumerDesk {
  readonly leases = new Leases();
  readonly #store: EventStore;
  readonly #known = new Map<string, Known>();
  /** The last change in progress of each consumer: changes of one are done in turn. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(store: EventStore) {
    this.#store = store;
  }

  /** @throws {StoreError} CONSUMER_INVALID, CONSUMER_NOT_FOUND */
  async state(name: string): Promise<ConsumerState> {
    checkConsumerName(name);
    const state = (await this.#store.consumers()).find((each) => each.name === name);
    if (state !== undefined) return state;
    throw new StoreError('CONSUMER_NOT_FOUND', `there is no consumer ${name}`, { data: { name } });
  }

  /**
   * Creates a consumer that begins at the event `from`; resolves with false if it exists with this filter.
   * @throws {HttpFailure} CONSUMER_EXISTS with another filter; StoreError as `store.consumer`
   */
  async create(name: string, { from, filter }: { from: number; filter: Record<string, unknown> }): Promise<boolean> {
    checkConsumerName(name);
    const wanted = checkedFilter(filter);
    if (Buffer.byteLength(wanted.key) > MAX_KEPT_FILTER_BYTES) {
      throw requestInvalid(`the filter of a consumer has at most ${MAX_KEPT_FILTER_BYTES} bytes`);
    }
    checkStart(from, this.#store.log.head.seq);
    return this.#inTurn(name, async () => {
      const known = await this.known(name).catch((error: unknown) => {
        if (isStoreError(error, 'CONSUMER_NOT_FOUND')) return undefined;
        throw error;
      });
      if (known !== undefined && known.filterKey === wanted.key) return false;
      if (known !== undefined) {
        throw new HttpFailure(
          409,
          'CONSUMER_EXISTS',
          `the consumer ${name} has another filter: a new version, as ${name.split('@')[0]}@2, may have this one`,
        );
      }
      // Closing it writes its position and filter.
      await this.#store.consumer(name, { from, filter: wanted.filter }).close();
      return true;
    });
  }

  /** Returns the position and filter. @throws {StoreError} CONSUMER_NOT_FOUND; CONSUMER_TAKEN in use by a program */
  async known(name: string): Promise<Known> {
    const before = this.#known.get(name);
    if (before !== undefined && Date.now() - before.readAtMs < CONSUMER_LEASE_MS) return before;
    const state = await this.state(name);
    if (state.held) {
      throw new StoreError('CONSUMER_TAKEN', `the consumer ${name} is taken: it is in use`, { data: { name } });
    }
    const { filter, key } = checkedFilter({ ...state.filter });
    const known = { filter, filterKey: key, position: state.position, readAtMs: Date.now() };
    this.#known.set(name, known);
    return known;
  }

  /** Resolves with the events that are not acknowledged, oldest first. */
  async batch(name: string, options: BatchOptions): Promise<Batch> {
    const known = await this.known(name);
    let batch = await this.#read(known, options);
    if (batch.events.length === 0 && options.waitMs > 0) {
      await this.#waited(known, batch.through, options);
      if (!options.signal.aborted) batch = await this.#read(known, options);
    }
    const passed = batch.through - known.position;
    if (batch.events.length === 0 && passed >= PASSED_EVENTS_PER_WRITE) await this.acknowledge(name, batch.through);
    return { ...batch, position: known.position };
  }

  /**
   * Acknowledges every event up to `seq`, durably; resolves with the position.
   * @throws {StoreError} TIME_OUT_OF_RANGE beyond the head, CONSUMER_NOT_FOUND, CONSUMER_TAKEN, those of every write
   */
  async acknowledge(name: string, seq: number): Promise<number> {
    return this.#inTurn(name, async () => {
      const known = await this.known(name);
      // Acknowledged before: its answer was lost.
      if (seq <= known.position) return known.position;
      const head = this.#store.log.head.seq;
      if (seq > head) throw beyondHead(`acknowledge event ${seq}`, { from: seq, head });
      await this.#moveTo(name, seq);
      known.position = seq;
      return seq;
    });
  }

  /** Sets the position, durably, also to an earlier event. @throws as `resetConsumer` */
  async reset(name: string, position: number): Promise<void> {
    await this.#inTurn(name, () => this.#moveTo(name, position));
    this.#known.delete(name);
  }

  /** @throws as `removeConsumer` */
  async remove(name: string): Promise<void> {
    await this.#inTurn(name, () => this.#store.removeConsumer(name));
    this.#known.delete(name);
    this.leases.forget(name);
  }

  async #moveTo(name: string, position: number): Promise<void> {
    try {
      await this.#store.resetConsumer(name, position);
    } catch (error) {
      // Somebody else may have changed it.
      this.#known.delete(name);
      throw error;
    }
  }

  async #read({ position, filter }: Known, { limit, encode, signal }: BatchOptions): Promise<Batch> {
    const { log } = this.#store;
    const head = log.head.seq;
    const events: string[] = [];
    let [bytes, last] = [0, position];
    for await (const event of log.read({ from: position + 1, to: head, filter, limit, signal })) {
      const text = encode(event);
      bytes += text.length;
      if (bytes > MAX_CONSUMER_BATCH_BYTES && events.length > 0) return { events, position, through: last, head };
      events.push(text);
      last = event.seq;
    }
    return { events, position, through: events.length === limit ? last : Math.max(head, position), head };
  }

  /** Resolves when an event after `seq` passes the filter, the time is over, or the client is gone. */
  async #waited({ filter }: Known, seq: number, { waitMs, signal }: BatchOptions): Promise<void> {
    const follower = this.#store.log.follow({ from: seq + 1, filter });
    const end = (): void => void follower.return();
    const timer = setTimeout(end, waitMs);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    try {
      await follower.next();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      end();
    }
  }

  async #inTurn<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    const before = this.#changes.get(name) ?? Promise.resolve();
    const result = before.then(change);
    // What went wrong is reported to who asked for it.
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    this.#changes.set(name, settled);
    try {
      return await result;
    } finally {
      if (this.#changes.get(name) === settled) this.#changes.delete(name);
    }
  }
}

interface Lease {
  readonly holder: string;
  /** Requests of the holder that are open: while there are any, the lease does not end. */
  open: number;
  untilMs: number;
}

/** Who holds the name of a consumer: for CONSUMER_LEASE_MS after the last request that named a holder. */
export class Leases {
  readonly #leases = new Map<string, Lease>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Returns the holder of `name`, if any. */
  holder(name: string): string | undefined {
    return this.#current(name)?.holder;
  }

  /**
   * Takes or renews the lease until the returned function was called and the time is over. Without
   * a `holder` only checks that nobody has it.
   * @throws {StoreError} CONSUMER_TAKEN while another holder has it
   */
  take(name: string, holder: string | undefined): () => void {
    const current = this.#current(name);
    if (current !== undefined && current.holder !== holder) throw taken(name, current.holder);
    if (holder === undefined) return () => undefined;
    const lease = current ?? { holder, open: 0, untilMs: 0 };
    lease.open += 1;
    this.#leases.set(name, lease);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      lease.open -= 1;
      lease.untilMs = this.#now() + CONSUMER_LEASE_MS;
    };
  }

  /** Ends the lease of a consumer that was removed. */
  forget(name: string): void {
    this.#leases.delete(name);
  }

  #current(name: string): Lease | undefined {
    const lease = this.#leases.get(name);
    if (lease === undefined || lease.open > 0 || lease.untilMs > this.#now()) return lease;
    this.#leases.delete(name);
    return undefined;
  }
}

function taken(name: string, holder: string): StoreError {
  return new StoreError('CONSUMER_TAKEN', `the consumer ${name} is taken: ${holder} holds it`, {
    data: { name, holder },
  });
}
