import { factsOf } from '../model/event-table.js';
import type { Digest, ImageId } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import type { StoreLog } from '../store/follow/event-filter.js';

/** Up to so many events, a transaction is read whole; beyond, through the index, image by image. */
const MOST_READ_WHOLE = 256;

/** What takes a name from an image: its removal, or a move of one platform of the name. */
const NAMING = { type: ['ReferenceRemoved', 'ReferenceSet'] } as const;

/**
 * Finds the names that a deleted image or removed artifact had: the event does not have them, others
 * of its transaction do.
 */
export class FormerNames {
  readonly #log: StoreLog;
  readonly #head: number;
  readonly #signal: AbortSignal;
  #known: { readonly first: number; readonly names: ReadonlyMap<Digest, readonly string[]> } | undefined;

  /** Reads no event after `head`. */
  constructor(log: StoreLog, head: number, signal: AbortSignal) {
    this.#log = log;
    this.#head = head;
    this.#signal = signal;
  }

  /** Returns canonical references; empty for other types of events. */
  async of(event: StoredEvent): Promise<readonly string[]> {
    const id = removedBy(event);
    const { first, count } = event.transaction;
    if (id === undefined || count === 1) return [];
    const range = { from: first, to: Math.min(this.#head, first + count - 1), signal: this.#signal };
    if (count > MOST_READ_WHOLE) {
      const names = new Set<string>();
      const about = this.#log.read({ ...range, filter: { ...NAMING, image: id as ImageId } });
      for await (const each of about) for (const name of factsOf(each).references(each)) names.add(name);
      return [...names];
    }
    if (this.#known?.first !== first) {
      this.#known = { first, names: await namesById(this.#log.read({ ...range, filter: NAMING })) };
    }
    return this.#known.names.get(id) ?? [];
  }
}

function removedBy(event: StoredEvent): Digest | undefined {
  if (event.type === 'ImageDeleted') return event.image;
  return event.type === 'ArtifactRemoved' ? event.artifact.digest : undefined;
}

async function namesById(events: AsyncIterable<StoredEvent>): Promise<Map<Digest, string[]>> {
  const names = new Map<Digest, string[]>();
  for await (const event of events) {
    const { images, references } = factsOf(event);
    for (const id of new Set(images(event))) {
      if (id === undefined) continue;
      names.set(id, [...(names.get(id) ?? []), ...references(event)]);
    }
  }
  return names;
}
