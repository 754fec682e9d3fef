import type { StoredEvent } from '../model/events.js';
import type { EventFilter, ReadOptions, StoreLog } from '../store/follow/event-filter.js';
import { eventOf, LogCursor, type ReadingOrder } from './log-cursor.js';
import { TransactionTally } from '../log/transaction-summary.js';

/** The requested events: inclusive seq range and filter. */
export interface Selection {
  readonly from: number;
  readonly to: number;
  readonly filter: EventFilter;
  /** Told how much of the range was read. */
  readonly onProgress?: ReadOptions['onProgress'];
}

/**
 * Yields the transactions that have a selected event, each whole, as soon as it was read. Memory
 * does not grow with a transaction: its events are counted, and a few are kept.
 */
export async function* readTransactions(
  log: Pick<StoreLog, 'read'>,
  selection: Selection,
  order: ReadingOrder,
): AsyncGenerator<TransactionTally> {
  if (Object.values(selection.filter).some((value) => value !== undefined)) yield* matching(log, selection, order);
  else yield* all(log, selection, order);
}

async function* all(
  log: Pick<StoreLog, 'read'>,
  { from, to, onProgress }: Selection,
  order: ReadingOrder,
): AsyncGenerator<TransactionTally> {
  const { reverse, head, signal } = order;
  const first = (await transactionAt(log, from, order))?.first ?? from;
  const cut = await transactionAt(log, to, order);
  const last = cut === undefined ? to : Math.min(head, cut.first + cut.count - 1);
  let tally = new TransactionTally();
  for await (const event of log.read({ from: first, to: last, reverse, onProgress, signal })) {
    tally.add(event);
    if (tally.size < sizeUpTo(head, event)) continue;
    yield tally;
    tally = new TransactionTally();
  }
}

async function transactionAt(
  log: Pick<StoreLog, 'read'>,
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
async function* matching(
  log: Pick<StoreLog, 'read'>,
  selection: Selection,
  order: ReadingOrder,
): AsyncGenerator<TransactionTally> {
  const { reverse, head, signal } = order;
  const matches = log.read({ ...selection, reverse, signal });
  const whole = new LogCursor(log, order);
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
