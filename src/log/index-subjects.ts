import type { LogPoint } from './log.js';
import { eventPages } from './event-pages.js';
import { eventKey, keyAt, SUBJECT_PREFIX } from './keys.js';
import { parseEventRow } from './event-row.js';
import type { LogSource } from './log-source.js';
import { subjectPrefix, subjectRows } from './subject-index.js';

/**
 * Whether the index goes to the head. Rows are written in the order of events and in the batch of their events, so the
 * row of the last event is there only when those of all events are.
 */
export async function hasSubjectIndex({ database, hash, failure }: LogSource, head: LogPoint): Promise<boolean> {
  if (head.seq === 0) return true;
  try {
    const row = await database.get(eventKey(head.seq));
    if (row === undefined) return false;
    const { actor } = parseEventRow(row, head.seq, hash);
    return (await database.get(keyAt(subjectPrefix({ actor }, hash), head.seq))) !== undefined;
  } catch (cause) {
    throw failure(cause);
  }
}

/**
 * Writes the index of every event up to the head, durably; throws what the database threw at a write. After a crash or a
 * failure in between there is no row of the last event, and it is written anew.
 */
export async function indexSubjects(source: LogSource, head: LogPoint): Promise<void> {
  // What is left of another index has its events in rows of its own, between which new rows would be passed over.
  await source.database.clear({ gte: Uint8Array.of(SUBJECT_PREFIX), lt: Uint8Array.of(SUBJECT_PREFIX + 1) });
  for await (const page of eventPages(source, { first: 1, last: head.seq })) {
    const batch = source.database.batch();
    for (const [key, value] of subjectRows(page, source.hash)) batch.put(key, value);
    await batch.write({ sync: true });
  }
}
