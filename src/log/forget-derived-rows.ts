import { readEnd } from './head.js';
import { lastRowKey } from './index-subjects.js';
import { treeKey } from './keys.js';
import type { LogSource } from './log-source.js';

/**
 * Makes a log forget, durably, that its subject index and the rows of its tree are whole: the next open for writing makes all of them
 * anew. What goes is the row of each that is looked for first.
 * @throws {StoreError} LOG_CORRUPT when the last event is damaged; whatever the database throws at a write
 */
export async function forgetDerivedRows(source: LogSource): Promise<void> {
  const last = await lastRowKey(source, await readEnd(source));
  if (last === undefined) return;
  await source.database.batch().del(last).del(treeKey(1, 0)).write({ sync: true });
}
