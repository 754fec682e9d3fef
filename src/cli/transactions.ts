import type { StoredEvent } from '../model/events.js';
import type { EventFilter, StoreLog } from '../store/follow/event-filter.js';
import { TransactionTally } from './render/transaction-summary.js';

/** The requested events: inclusive seq range and filter. */
export interface Selection {
  readonly from: number;
  readonly to: number;
  readonly filter: EventFilter;
}

interface ReadingOrder {
  readonly reverse?: boolean | undefined;
  /** The last event that may be shown: a transaction is not read beyond it. */
  readonly head: number;
  readonly signal: AbortSignal;
}

/** Events to skip rather than begin to read elsewhere. */
const MOST_SKIPPED = 64;

/**
 * Yields the transactions that have a selected event, each whole, as soon as it was read. Memory
 * does not grow with a transaction: its events are counted, and a few are kept.
 */
export async function* readTransactions(
  log: StoreLog,
  selection: Selection,
  order: ReadingOrder,
): AsyncGenerator<TransactionTally> {
  if (Object.values(selection.filter).some((value) => value !== undefined)) yield* matching(log, selection, order);
  else yield* all(log, selection, order);
}

async function* all(log: StoreLog, { from, to }: Selection, order: ReadingOrder): AsyncGenerator<TransactionTally> {
  const { reverse, head, signal } = order;
  const first = (await transactionAt(log, from, order))?.first ?? from;
  const cut = await transactionAt(log, to, order);
  const last = cut === undefined ? to : Math.min(head, cut.first + cut.count - 1);
  let tally = new TransactionTally();
  for await (const event of log.read({ from: first, to: last, reverse, signal })) {
    tally.add(event);
    if (tally.size < sizeUpTo(head, event)) continue;
    yield tally;
    tally = new TransactionTally();
  }
}

async function transactionAt(
  log: StoreLog,
  seq: number,
  { signal }: ReadingOrder,
): Promise<StoredEvent['transaction'] | undefined> {
  for await (const { transaction } of log.read({ from: seq, to: seq, signal })) return transaction;
  return undefined;
}

/** Events of a transaction up to `head`. */
function sizeUpTo(head: number, { transaction: { first, count } }: StoredEvent): number {
  return Math.min(head, first + count - 1) - first + 1;
}

/** Reads selected events beside their whole transactions, both in one direction. */
async function* matching(log: StoreLog, selection: Selection, order: ReadingOrder): AsyncGenerator<TransactionTally> {
  const { reverse, head, signal } = order;
  const matches = log.read({ ...selection, reverse, signal });
  const whole = new Cursor(log, order);
  const nextMatch = async (): Promise<StoredEvent | undefined> => eventOf(await matches.next());
  let match = await nextMatch();
  while (match !== undefined) {
    const size = sizeUpTo(head, match);
    const { first } = match.transaction;
    await whole.seek(reverse === true ? first + size - 1 : first);
    const tally = new TransactionTally();
    while (tally.size < size) {
      const event = await whole.next();
      if (event === undefined) return;
      const isChosen = event.seq === match?.seq;
      tally.add(event, isChosen);
      if (isChosen) match = await nextMatch();
    }
    yield tally;
  }
}

function eventOf(result: IteratorResult<StoredEvent, unknown>): StoredEvent | undefined {
  return result.done === true ? undefined : result.value;
}

/** Reads on from one place to a later one: over a short gap, or by a new read. */
class Cursor {
  readonly #log: StoreLog;
  readonly #order: ReadingOrder;
  #events: AsyncIterator<StoredEvent> | undefined;
  /** Seq of the next event. */
  #at = 0;

  constructor(log: StoreLog, order: ReadingOrder) {
    this.#log = log;
    this.#order = order;
  }

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

  async next(): Promise<StoredEvent | undefined> {
    const event = this.#events === undefined ? undefined : eventOf(await this.#events.next());
    this.#at += this.#order.reverse === true ? -1 : 1;
    return event;
  }
}
