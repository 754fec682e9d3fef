import { Level } from 'level';
import type { Database } from './log-source.js';
import { openFailure } from './open-failure.js';

/**
 * Resolves with the open LevelDB database at `location`.
 * @throws {StoreError} as `openFailure` says
 */
export async function openLevel(location: string, createIfMissing: boolean): Promise<Database> {
  const database: Database = new Level(location, { keyEncoding: 'view', valueEncoding: 'view', createIfMissing });
  try {
    await database.open();
  } catch (cause) {
    throw openFailure(location, cause);
  }
  return database;
}
