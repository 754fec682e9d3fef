import { pastViews, type Views } from '../../../projections/views.js';
import { MAX_INDEXED_DIFF_EVENTS, MAX_INDEXED_DIFF_SUBJECTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import type { ImageId } from '../../model/digest.js';
import { factsOf } from '../../model/event-table.js';
import type { StoredEvent } from '../../model/events.js';
import type { Subject } from '../../model/subjects.js';

/**
 * Returns the views before `events`, the first of a stretch after `seq`, of nothing but what these
 * change: a fold of all earlier events about it, by the index. Other facts may be missing or wrong,
 * and so are the views that no difference tells of. Undefined when it is about so much that a
 * snapshot costs less, and without an index.
 * @throws {StoreError} LOG_CORRUPT when an event or index row is corrupt; ABORTED
 */
export async function viewsBefore(
  log: Log,
  events: readonly StoredEvent[],
  { seq, signal }: { readonly seq: number; readonly signal?: AbortSignal | undefined },
): Promise<Views | undefined> {
  const subjects = new Subjects();
  for (const event of events) subjects.add(event);
  const earlier = await eventsAbout(log, subjects.all, seq, signal);
  if (earlier === undefined) return undefined;
  // An image has a parent only as long as that is there: so what became of the parents counts, too.
  const parents = new Subjects();
  for (const event of earlier) if (event.type === 'ParentSet') parents.addImage(event.parent);
  const ofParents = await eventsAbout(log, parents.without(subjects), seq, signal);
  if (ofParents === undefined) return undefined;
  const bySeq = new Map([...earlier, ...ofParents].map((event) => [event.seq, event]));
  return pastViews(undefined, [[...bySeq.values()].sort((a, b) => a.seq - b.seq)]);
}

async function eventsAbout(
  log: Log,
  subjects: readonly Subject[],
  to: number,
  signal: AbortSignal | undefined,
): Promise<StoredEvent[] | undefined> {
  if (!log.hasSubjectIndex || subjects.length > MAX_INDEXED_DIFF_SUBJECTS) return undefined;
  const events: StoredEvent[] = [];
  if (subjects.length === 0 || to === 0) return events;
  for await (const page of log.subjectPages(subjects, { to, signal })) {
    for (const event of page) events.push(event);
    if (events.length > MAX_INDEXED_DIFF_EVENTS) return undefined;
  }
  return events;
}

/** What events are about, as far as a difference tells of it. */
class Subjects {
  readonly #byKey = new Map<string, Subject>();

  get all(): Subject[] {
    return [...this.#byKey.values()];
  }

  add(event: StoredEvent): void {
    for (const [kind, key] of factsOf(event).changes(event)) {
      if (kind === 'image' || kind === 'parent' || kind === 'metadata') this.addImage(key);
      // The index has artifacts among the images.
      else if (kind === 'artifact') this.addImage(key as ImageId);
      else if (kind === 'reference') this.#byKey.set(`reference ${key}`, { reference: key });
      else if (kind === 'layer') this.#byKey.set(`layer ${key}`, { chainId: key });
    }
    if (event.type === 'ParentSet') this.addImage(event.parent);
  }

  addImage(image: ImageId): void {
    this.#byKey.set(`image ${image}`, { image });
  }

  without(others: Subjects): Subject[] {
    return [...this.#byKey].flatMap(([key, subject]) => (others.#byKey.has(key) ? [] : [subject]));
  }
}
