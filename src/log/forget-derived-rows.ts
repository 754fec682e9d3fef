import { readEnd } from './head.js';
import { parseEventRow } from './event-row.js';
import { eventKey, keyAt, treeKey } from './keys.js';
import type { LogSource } from './log-source.js';
import { subjectPrefix } from './subject-index.js';

/**
 * Makes a log forget, durably, that its subject index and the rows of its tree are whole: the next open for writing makes all of them
 * anew. What goes is the row of each that is looked for first.
 * @throws {StoreError} LOG_CORRUPT when the last event is damaged; whatever the database throws at a write
 */
export async function forgetDerivedRows(source: LogSource): Promise<void> {
  const { database, hash } = source;
  const { seq } = await readEnd(source);
  const row = seq === 0 ? undefined : await database.get(eventKey(seq));
  if (row === undefined) return;
  const { actor } = parseEventRow(row, seq, hash);
  const batch = database.batch();
  batch.del(keyAt(subjectPrefix({ actor }, hash), seq)).del(treeKey(1, 0));
  await batch.write({ sync: true });
}
