import { formatEventRows, wholeEntries } from '../../src/log/event-rows.js';
import type { Database } from '../../src/log/log.js';
import { eventKey, EVENT_PREFIX } from '../../src/log/rows.js';
import { rowsOfKind } from '../../src/log/stored-rows.js';

/** Returns the value of a row of this record alone. */
export function rowOf(record: Uint8Array): Uint8Array {
  return formatEventRows(1, [record])[0]?.value ?? new Uint8Array(0);
}

/** Gives each event its own row, as version 1 of the format does, so that each can be damaged alone. */
export async function splitEventRows(database: Database): Promise<void> {
  for await (const row of database.iterator(rowsOfKind(EVENT_PREFIX))) {
    const entries = wholeEntries(row);
    if (entries.length < 2) continue;
    const batch = database.batch();
    for (const { event, record } of entries) batch.put(eventKey(event.seq), rowOf(record));
    await batch.write();
  }
}
