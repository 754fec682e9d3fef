import { factsOf } from '../model/event-table.js';
import type { Digest, ImageId } from '../model/digest.js';
import { distinct } from '../model/event-facts.js';
import type { EventType, StoredEvent } from '../model/events.js';
import type { StoreLog } from '../store/follow/event-filter.js';
import { LogCursor, type ReadingOrder } from './log-cursor.js';

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
