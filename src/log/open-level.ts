import { Level } from 'level';
import type { Database } from './log-source.js';
import { isStoreError } from '../errors.js';
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

/**
 * Returns when nobody has the database at `location` open, at this moment. LevelDB, asked for a database that must not exist yet, takes its
 * lock, looks, and changes nothing: damage is not made worse, as an open may make it.
 * @throws {StoreError} STORE_LOCKED, STORE_NOT_WRITABLE
 */
export async function checkUnlocked(location: string): Promise<void> {
  const database: Database = new Level(location, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    await database.open({ createIfMissing: false, ...{ errorIfExists: true } });
    await database.close();
  } catch (cause) {
    const failure = openFailure(location, cause);
    if (isStoreError(failure, 'STORE_LOCKED') || isStoreError(failure, 'STORE_NOT_WRITABLE')) throw failure;
  }
}
