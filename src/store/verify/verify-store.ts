import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isStoreError, StoreError } from '../../errors.js';
import type { Database } from '../../log/log-source.js';
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
import { openDatabaseReadOnly } from '../open/read-only-database.js';
import { checkFree, lockHolder } from '../open/lock-holder.js';
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
  const { faults } = await lookAtDatabase(
    location,
    options.fast === true ? undefined : { maxTableBytes: Number.POSITIVE_INFINITY },
  );
  for (const { file, message } of faults) violations.push({ code: 'LOG_FILE_DAMAGED', place: `log/${file}`, message });
  // LevelDB may end the process at a damaged block of a table, and opens nothing without its other files.
  if (faults.some(({ file }) => !file.endsWith('.log'))) {
    return violations.concat(await verifyWithoutLog(parts, options));
  }
  return violations.concat(await verifyDatabase(location, parts, options));
}

// Not opened by LevelDB, which replays its write-ahead log, and drops for good what is damaged in it.
async function verifyDatabase(
  location: string,
  parts: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const database = await openDatabaseReadOnly(location).catch((error: unknown) => error);
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

// A look beside a writer would take for damage what it is about to write.
async function refuseLocked(path: string, location: string): Promise<void> {
  // LevelDB makes the directory that it is asked to open.
  if (!(await isThere(join(location, 'CURRENT')))) return;
  try {
    await refuseSecondOwner(path);
    // Asked of the system, where that is possible: LevelDB writes when it is asked.
    if (process.platform !== 'linux') return await checkFree(location);
    if ((await lockHolder(join(location, 'LOCK'))) !== undefined) {
      throw new StoreError('STORE_LOCKED', `cannot verify ${path}: it is open`, { data: { location } });
    }
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
