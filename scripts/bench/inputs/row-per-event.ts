import { basename, join } from 'node:path';
import { wholeEntries } from '../../../src/log/event-rows.js';
import { eventKey, EVENT_PREFIX } from '../../../src/log/rows.js';
import { rowsOfKind } from '../../../src/log/stored-rows.js';
import type { BenchContext } from '../benchmark.js';
import { keptDirectory } from './kept-directory.js';
import { openRows } from './written-rows.js';

/** Rows of a batch. */
const BATCH_ROWS = 10_000;

/**
 * Returns a database of `level` with the records of a store, a row each: what one would write who keeps
 * events in it. The store's own rows have up to 64 events. Kept for later runs.
 */
export function rowPerEvent(store: string, context: Pick<BenchContext, 'fresh' | 'say'>): Promise<string> {
  return keptDirectory(`${basename(store)}-rows`, context, async (directory) => {
    const from = await openRows(join(store, 'log'));
    const to = await openRows(directory);
    let batch = to.batch();
    for await (const row of from.iterator(rowsOfKind(EVENT_PREFIX))) {
      for (const { event, record } of wholeEntries(row)) batch.put(eventKey(event.seq), record);
      if (batch.length < BATCH_ROWS) continue;
      await batch.write();
      batch = to.batch();
    }
    await batch.write();
    await Promise.all([from.close(), to.close()]);
  });
}
