import type { Level } from 'level';
import { isStoreError, loadCode, StoreError, thrownText } from '../../errors.js';
import type { Database } from '../log.js';

/**
 * Maps an error that `level` threw at a read: STORE_CLOSED for a closed log, LOG_CORRUPT for damage
 * found by LevelDB, else LOG_FAILED. Returns a StoreError unchanged.
 */
export function readFailure(cause: unknown, isClosed: boolean): StoreError {
  if (cause instanceof StoreError) return cause;
  if (isClosed) return new StoreError('STORE_CLOSED', 'cannot read the log: it is closed', { cause });
  const text = thrownText(cause);
  const code =
    cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_CORRUPTION' ? 'LOG_CORRUPT' : 'LOG_FAILED';
  return new StoreError(code, `cannot read the log: ${text}`, { cause });
}

// Loaded on demand: what only reads needs neither its modules, which take 22 ms, nor its addon.
async function levelCode(): Promise<typeof Level> {
  return (await loadCode('of LevelDB', import('level'))).Level;
}

/** Opens the LevelDB database at `location`. @throws {StoreError} see `openFailure` */
export async function openLevel(location: string, createIfMissing: boolean): Promise<Database> {
  const Code = await levelCode();
  const database: Database = new Code(location, { keyEncoding: 'view', valueEncoding: 'view', createIfMissing });
  try {
    await database.open();
  } catch (cause) {
    throw openFailure(location, cause);
  }
  return database;
}

/**
 * Checks that the database at `location` is not open now. With `errorIfExists` LevelDB takes the
 * lock, looks, and changes nothing; a real open could make damage worse.
 * @throws {StoreError} STORE_LOCKED, STORE_NOT_WRITABLE
 */
export async function checkUnlocked(location: string): Promise<void> {
  const Code = await levelCode();
  const database: Database = new Code(location, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    await database.open({ createIfMissing: false, ...{ errorIfExists: true } });
    await database.close();
  } catch (cause) {
    const failure = openFailure(location, cause);
    if (isStoreError(failure, 'STORE_LOCKED') || isStoreError(failure, 'STORE_NOT_WRITABLE')) throw failure;
  }
}

/** `level` under Node, beyond its portable interface. */
interface Repairing {
  repair(location: string): Promise<void>;
}

/**
 * Has LevelDB salvage the files at `location`, ignoring the MANIFEST. Takes no lock, checks nothing
 * and revives deleted rows: use it only on a copy, and verify every row afterwards.
 * @throws {StoreError} see `openFailure`
 */
export async function repairLevel(location: string): Promise<void> {
  const code: unknown = await levelCode();
  try {
    await (code as Repairing).repair(location);
  } catch (cause) {
    throw openFailure(location, cause);
  }
}

/**
 * Maps an error that `level` threw at opening `location`: STORE_LOCKED, LOG_CORRUPT, DISK_FULL,
 * STORE_NOT_WRITABLE, else LOG_FAILED.
 */
export function openFailure(location: string, cause: unknown): StoreError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : '';
  const text = thrownText(inner);
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
