import type { Digest, ImageId } from '../model/digest.js';
import { distinct } from '../model/event-facts.js';
import { factsOf } from '../model/event-table.js';
import type { EventType, StoredEvent } from '../model/events.js';
import type { EventFilter, ReadOptions, StoreLog } from '../store/follow/event-filter.js';
import { TransactionTally } from './render/transaction-summary.js';

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
function eventOf(result: IteratorResult<StoredEvent, unknown>): StoredEvent | undefined {
  return result.done === true ? undefined : result.value;
}

/** Reads a log from one place to a later one: over a short gap, or by a new read. */
class LogCursor {
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

/** Up to so many events, a transaction is read whole; beyond, through the index, image by image. */
const MOST_READ_WHOLE = 256;

/** What takes a name from an image: its removal, or a move of one platform of the name. */
const NAMING: readonly EventType[] = ['ReferenceRemoved', 'ReferenceSet'];

/**
 * Finds the names that a deleted image or removed artifact had: the event does not have them, others
 * of its transaction do.
 */
export class FormerNames {
  readonly #log: Pick<StoreLog, 'read'>;
  readonly #order: ReadingOrder;
  readonly #cursor: LogCursor;
  #known: { readonly first: number; readonly names: ReadonlyMap<Digest, readonly string[]> } | undefined;

  /** `order` is that of the events asked about: then their transactions are read in one pass. */
  constructor(log: Pick<StoreLog, 'read'>, order: ReadingOrder) {
    this.#log = log;
    this.#order = order;
    this.#cursor = new LogCursor(log, order);
  }

  /** Returns canonical references; empty for other types of events. */
  async of(event: StoredEvent): Promise<readonly string[]> {
    const id = removedBy(event);
    const { first, count } = event.transaction;
    if (id === undefined || count === 1) return [];
    const last = Math.min(this.#order.head, first + count - 1);
    if (count > MOST_READ_WHOLE) return this.#ofLarge(id, first, last);
    if (this.#known?.first !== first) this.#known = { first, names: await this.#namesById(first, last) };
    return this.#known.names.get(id) ?? [];
  }

  async #ofLarge(id: Digest, from: number, to: number): Promise<readonly string[]> {
    const filter = { image: id as ImageId, type: NAMING };
    const names = new Set<string>();
    for await (const event of this.#log.read({ from, to, filter, signal: this.#order.signal })) {
      for (const name of factsOf(event).references(event)) names.add(name);
    }
    return [...names];
  }

  async #namesById(first: number, last: number): Promise<ReadonlyMap<Digest, readonly string[]>> {
    const { reverse = false } = this.#order;
    await this.#cursor.seek(reverse ? last : first);
    const names = new Map<Digest, string[]>();
    for (let seq = first; seq <= last; seq++) {
      const event = await this.#cursor.next();
      if (event === undefined) break;
      if (!NAMING.includes(event.type)) continue;
      const { images, references } = factsOf(event);
      for (const id of distinct(images(event))) {
        const own = names.get(id) ?? [];
        for (const name of references(event)) own.push(name);
        names.set(id, own);
      }
    }
    if (reverse) for (const own of names.values()) own.reverse();
    return names;
  }
}

function removedBy(event: StoredEvent): Digest | undefined {
  if (event.type === 'ImageDeleted') return event.image;
  return event.type === 'ArtifactRemoved' ? event.artifact.digest : undefined;
}
