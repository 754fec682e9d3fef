import { Level } from 'level';
import { isStoreError, StoreError } from '../../errors.js';
import type { Database } from '../log.js';

/**
 * Returns what `level` threw at a read as the error that a caller can act on: STORE_CLOSED when the log was closed,
 * LOG_CORRUPT when LevelDB finds damage, LOG_FAILED for the rest. A StoreError is returned as it is.
 */
export function readFailure(cause: unknown, isClosed: boolean): StoreError {
  if (cause instanceof StoreError) return cause;
  if (isClosed) return new StoreError('STORE_CLOSED', 'cannot read the log: it is closed', { cause });
  const text = cause instanceof Error ? cause.message : String(cause);
  const code =
    cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_CORRUPTION' ? 'LOG_CORRUPT' : 'LOG_FAILED';
  return new StoreError(code, `cannot read the log: ${text}`, { cause });
}

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

/** What `level` is under Node, beyond what it is everywhere. */
interface Repairing {
  repair(location: string): Promise<void>;
}

/**
 * Makes LevelDB take what it still can from the files at `location`, whatever its MANIFEST says. It takes no lock, checks nothing and
 * gives rows back that were deleted: only ever of a copy, every row of which is judged afterwards.
 * @throws {StoreError} as `openFailure` says
 */
export async function repairLevel(location: string): Promise<void> {
  try {
    await (Level as unknown as Repairing).repair(location);
  } catch (cause) {
    throw openFailure(location, cause);
  }
}

/**
 * Returns what `level` threw at opening `location` as the error that a caller can act on:
 * STORE_LOCKED, LOG_CORRUPT, DISK_FULL, STORE_NOT_WRITABLE, or LOG_FAILED for the rest.
 */
export function openFailure(location: string, cause: unknown): StoreError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : '';
  const text = inner instanceof Error ? inner.message : String(inner);
  const options = { cause, data: { location } };
  if (code === 'LEVEL_LOCKED') {
    return new StoreError('STORE_LOCKED', `cannot open the log ${location}: it is open already`, options);
  }
  if (code === 'LEVEL_CORRUPTION' || /does not exist \(create_if_missing is false\)/.test(text)) {
    return new StoreError('LOG_CORRUPT', `cannot open the log ${location}: LevelDB found damage: ${text}`, options);
  }
  if (/No space left/.test(text)) {
    return new StoreError('DISK_FULL', `cannot open the log ${location}: the disk is full`, options);
  }
  if (/Permission denied|Read-only file system/.test(text)) {
    return new StoreError('STORE_NOT_WRITABLE', `cannot open the log ${location}: ${text}`, options);
  }
  return new StoreError('LOG_FAILED', `cannot open the log ${location}: ${text}`, options);
}
