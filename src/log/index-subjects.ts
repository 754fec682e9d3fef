import { clearRows } from './clear-rows.js';
import { eventPages } from './event-pages.js';
import { parseEventRow } from './event-row.js';
import { eventKey, keyAt, SUBJECT_PREFIX } from './keys.js';
import type { LogPoint } from './log.js';
import type { LogSource, WriteBatch } from './log-source.js';
import { rowsOfKind } from './stored-rows.js';
import { subjectPrefix, subjectRows } from './subject-index.js';

/** How an index is written. */
export interface IndexOptions {
  readonly write: WriteBatch;
  /** Called with the seq up to which events are in it. */
  readonly onIndexed?: ((seq: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether the index goes to the head. Rows are written in the order of events and in the batch of their events, so the
 * row of the last event is there only when those of all events are.
 */
export async function hasSubjectIndex(source: LogSource, head: LogPoint): Promise<boolean> {
  if (head.seq === 0) return true;
  try {
    const key = await lastRowKey(source, head);
    return key !== undefined && (await source.database.get(key)) !== undefined;
  } catch (cause) {
    throw source.failure(cause);
  }
}

/** Resolves with the key of the index's last row, which tells that the index is whole; undefined when there is no event. */
export async function lastRowKey({ database, hash }: LogSource, { seq }: LogPoint): Promise<Uint8Array | undefined> {
  const row = seq === 0 ? undefined : await database.get(eventKey(seq));
  if (row === undefined) return undefined;
  const { actor } = parseEventRow(row, seq, hash);
  return keyAt(subjectPrefix({ actor }, hash), seq);
}

/**
 * Writes the index of every event up to the head, durably; throws what `write` threw, and ABORTED. After a crash or a
 * failure in between there is no row of the last event, and it is written anew.
 */
export async function indexSubjects(
  source: LogSource,
  head: LogPoint,
  { write, onIndexed, signal }: IndexOptions,
): Promise<void> {
  const { database } = source;
  // Before any other row goes: what is left without it is known to be no whole index.
  const last = await lastRowKey(source, head);
  if (last !== undefined) await write(database.batch().del(last));
  // What is left of another index has its events in rows of its own, between which new rows would be passed over.
  await clearRows(database, rowsOfKind(SUBJECT_PREFIX), write);
  for await (const page of eventPages(source, { first: 1, last: head.seq, signal })) {
    const batch = database.batch();
    for (const [key, value] of subjectRows(page, source.hash)) batch.put(key, value);
    await write(batch);
    onIndexed?.(page.at(-1)?.seq ?? 0);
  }
}
