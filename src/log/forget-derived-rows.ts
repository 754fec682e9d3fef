import { readEnd } from './head.js';
import { lastRowKey } from './index-subjects.js';
import type { LogSource } from './log-source.js';
import { lastTreeRowKey } from './tree-rows.js';

/**
 * Makes a log forget, durably, that its subject index and the rows of its tree are whole: the next open for writing makes all of them
 * anew. What goes is the last row of each, by which an open tells.
 * @throws {StoreError} LOG_CORRUPT when the last event is damaged; whatever the database throws at a write
 */
export async function forgetDerivedRows(source: LogSource): Promise<void> {
  const end = await readEnd(source);
  const keys = [await lastRowKey(source, end), lastTreeRowKey(end.seq)].filter((key) => key !== undefined);
  if (keys.length === 0) return;
  const batch = source.database.batch();
  for (const key of keys) batch.del(key);
  await batch.write({ sync: true });
}
