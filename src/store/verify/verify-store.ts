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
import { checkDatabase } from '../open/check-database.js';
import { claimDirectory } from '../open/directory-claim.js';
import { refuseSecondOwner, withOwner } from '../open/owner-file.js';
import { SIDECAR_FILE } from '../open/sidecar.js';
import { readIdentity } from './identity.js';
import { StoreFiles } from './store-files.js';
import { storeSource } from './store-source.js';
import { verifySource } from './verify.js';
import type { VerifyOptions } from './verify-options.js';
import { verifyWithoutLog } from './verify-without-log.js';
import type { Violation } from './violation.js';

/**
 * Resolves with everything that is wrong with the store in `directory`, also one that does not open, or with the backup; empty when
 * nothing is. Changes nothing in a backup, and in a store nothing but what LevelDB does whenever it opens: it makes a table of its write-ahead log. One process at a time.
 *
 * @throws {StoreError} STORE_NOT_FOUND, STORE_NOT_A_DIRECTORY, STORE_LOCKED, STORE_FORMAT_UNSUPPORTED, STORE_NOT_WRITABLE, DISK_FULL,
 *   IO_FAILED; KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and SIGNATURE_INVALID for a checkpoint in the options; ABORTED
 */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
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
  const database = await openOrReport(path, violations);
  if (database === undefined) return [...violations, ...(await verifyWithoutLog(parts, options))];
  try {
    const failure = (cause: unknown): StoreError => readFailure(cause, false);
    const rows = new StoredRows({ database, failure });
    const source = await storeSource({ ...parts, rows });
    return [...violations, ...(await verifySource(source, options))];
  } finally {
    await database.close();
  }
}

/** Opens LevelDB, or takes note of why it does not open. */
async function openOrReport(path: string, violations: Violation[]): Promise<Database | undefined> {
  try {
    // LevelDB removes what it cannot read of its write-ahead log, and may end the process at a damaged block.
    await refuseSecondOwner(path);
    await checkDatabase(path, Number.POSITIVE_INFINITY);
    return await openLevel(join(path, 'log'), false);
  } catch (error) {
    if (!isStoreError(error, 'LOG_CORRUPT') && !isStoreError(error, 'LOG_FAILED')) throw await withOwner(path, error);
    violations.push({ code: 'LOG_UNOPENABLE', place: 'log', message: error.message });
    return undefined;
  }
}

// LevelDB makes the directory that it is asked to open: what is no store must not become half of one.
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
    if (!(await exists(join(path, SIDECAR_FILE))) && !(await exists(join(path, 'log')))) throw notFound();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw notFound(error);
    throw ioFailure(`open the store ${path}`, error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
