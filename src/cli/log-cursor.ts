import type { StoredEvent } from '../model/events.js';
import type { StoreLog } from '../store/follow/event-filter.js';

/** How events are read. */
export interface ReadingOrder {
  readonly reverse?: boolean | undefined;
  /** The last event that may be shown: nothing is read beyond it. */
  readonly head: number;
  readonly signal: AbortSignal;
}

/** Events to skip rather than begin to read elsewhere. */
const MOST_SKIPPED = 64;

/** Returns what an iterator yielded; undefined at its end. */
export function eventOf(result: IteratorResult<StoredEvent, unknown>): StoredEvent | undefined {
  return result.done === true ? undefined : result.value;
}

/** Reads a log from one place to a later one: over a short gap, or by a new read. */
export class LogCursor {
  readonly #log: Pick<StoreLog, 'read'>;
  readonly #order: ReadingOrder;
  #events: AsyncIterator<StoredEvent> | undefined;
  /** Seq of the next event. */
  #at = 0;

  constructor(log: Pick<StoreLog, 'read'>, order: ReadingOrder) {
    this.#log = log;
    this.#order = order;
  }

  /** Makes `seq` the next event. */
  async seek(seq: number): Promise<void> {
    const { reverse = false, head, signal } = this.#order;
    const gap = reverse ? this.#at - seq : seq - this.#at;
    if (this.#events === undefined || gap < 0 || gap > MOST_SKIPPED) {
      await this.#events?.return?.();
      const range = reverse ? { from: 1, to: seq } : { from: seq, to: head };
      this.#events = this.#log.read({ ...range, reverse, signal });
      this.#at = seq;
      return;
    }
    while (this.#at !== seq) await this.next();
  }

  /** Returns the next event in the reading order; undefined at the end. */
  async next(): Promise<StoredEvent | undefined> {
    const event = this.#events === undefined ? undefined : eventOf(await this.#events.next());
    this.#at += this.#order.reverse === true ? -1 : 1;
    return event;
  }
}
