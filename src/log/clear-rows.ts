import type { Database, WriteBatch } from './log-source.js';
import type { KeyRange } from './stored-rows.js';

/** Rows that are removed at a time. */
const ROWS_AT_A_TIME = 10_000;
/** Bytes of keys that LevelDB hands over at a time; more than as many rows have, so that they are one call. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** Removes the rows of a range in the order of their keys, each batch by `write`; throws what the database throws. */
export async function clearRows(database: Database, range: KeyRange, write: WriteBatch): Promise<void> {
  const keys = database.keys({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES });
  try {
    for (;;) {
      const found = await keys.nextv(ROWS_AT_A_TIME);
      if (found.length === 0) return;
      const batch = database.batch();
      for (const key of found) batch.del(key);
      await write(batch);
    }
  } finally {
    await keys.close();
  }
}
