import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isStoreError, StoreError } from '../../errors.js';
import type { Database } from '../../log/log-source.js';
import { openLevel } from '../../log/open-level.js';
import { readFailure } from '../../log/read-failure.js';
import { StoredRows } from '../../log/stored-rows.js';
import { isBackup } from '../backup/backup-source.js';
import { verifyBackup } from '../backup/verify-backup.js';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { isThere } from '../files/is-there.js';
import { claimDirectory } from '../open/directory-claim.js';
import { mustBeString } from '../argument-types.js';
import { refuseSecondOwner, withOwner } from '../open/owner-file.js';
import { SIDECAR_FILE } from '../open/sidecar.js';
import { lookAtDatabase } from '../open/check-database.js';
import { checkFree } from '../open/lock-holder.js';
import { openDatabase } from '../open/open-database.js';
import { withDatabaseCopy } from '../open/rehearsal.js';
import { readIdentity } from './identity.js';
import { StoreFiles } from './store-files.js';
import { storeSource, type StoreSourceParts } from './store-source.js';
import { verifySource } from './verify.js';
import { checkVerifyOptions, type VerifyOptions } from './verify-options.js';
import { verifyWithoutLog } from './verify-without-log.js';
import type { Violation } from './violation.js';

/** What `verifyStore` of the library does, which says how. */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
  mustBeString('directory', directory);
  checkVerifyOptions(options);
  const path = resolve(directory);
  if (await isBackup(path)) return (await verifyBackup(path, options)).violations;
  await needStore(path);
  const release = await claimDirectory(path);
  try {
    return await verifyClaimed(path, options);
  } finally {
    release();
  }
}

async function verifyClaimed(path: string, options: VerifyOptions): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  const identity = await readIdentity(path, (violation) => violations.push(violation));
  const files = new StoreFiles(path);
  const parts = { identity, files, checkpoint: await files.checkpoint(), snapshots: await files.snapshots() };
  const location = join(path, 'log');
  await refuseLocked(path, location);
  const { faults, isTorn } = await lookAtDatabase(
    location,
    options.fast === true ? undefined : { maxTableBytes: Number.POSITIVE_INFINITY },
  );
  for (const { file, message } of faults) violations.push({ code: 'LOG_FILE_DAMAGED', place: `log/${file}`, message });
  // LevelDB may end the process at a damaged block of a table, and opens nothing without its other files.
  if (faults.some(({ file }) => !file.endsWith('.log'))) {
    return [...violations, ...(await verifyWithoutLog(parts, options))];
  }
  // What LevelDB drops of a damaged log would be missed, and put back, for ever.
  const open = faults.length === 0 ? openDatabase : openLevel;
  const verifyAt = (at: string): Promise<Violation[]> => verifyDatabase(() => open(at, false), parts, options);
  // LevelDB replays its write-ahead log when it opens, and drops for good what is damaged in it: that must stay for whoever saves
  // what is there, and a copy is opened instead.
  if (faults.length === 0 && !isTorn) return [...violations, ...(await verifyAt(location))];
  return [...violations, ...(await withDatabaseCopy(path, faults.length === 0 ? 'linked' : 'copied', verifyAt))];
}

async function verifyDatabase(
  open: () => Promise<Database>,
  parts: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const database = await open().catch((error: unknown) => error);
  if (database instanceof Error) {
    if (!isStoreError(database, 'LOG_CORRUPT') && !isStoreError(database, 'LOG_FAILED')) throw database;
    const unopenable: Violation = { code: 'LOG_UNOPENABLE', place: 'log', message: database.message };
    return [unopenable, ...(await verifyWithoutLog(parts, options))];
  }
  const opened = database as Database;
  try {
    const failure = (cause: unknown): StoreError => readFailure(cause, false);
    const source = await storeSource({ ...parts, rows: new StoredRows({ database: opened, failure }) });
    return await verifySource(source, options);
  } finally {
    await opened.close();
  }
}

async function refuseLocked(path: string, location: string): Promise<void> {
  // LevelDB makes the directory that it is asked to open.
  if (!(await isThere(join(location, 'CURRENT')))) return;
  try {
    await refuseSecondOwner(path);
    await checkFree(location);
  } catch (error) {
    throw await withOwner(path, error);
  }
}

// What is no store must not become half of one.
async function needStore(path: string): Promise<void> {
  const notFound = (cause?: unknown): StoreError =>
    new StoreError('STORE_NOT_FOUND', `no store in ${path}: it has neither ${SIDECAR_FILE} nor a log`, {
      cause,
      data: { directory: path },
    });
  try {
    if (!(await stat(path)).isDirectory()) {
      throw new StoreError('STORE_NOT_A_DIRECTORY', `${path} is a file, expected the directory of a store`, {
        data: { path },
      });
    }
    if (!(await isThere(join(path, SIDECAR_FILE))) && !(await isThere(join(path, 'log')))) throw notFound();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw notFound(error);
    throw ioFailure(`open the store ${path}`, error);
  }
}
