import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkBlobs, checkDamagedLogs } from './verify/content-check.js';
import { checkpointClaims, verifySource } from './verify/verify.js';
import { snapshotClaims, viewDigestsOf } from './verify/fold-check.js';
import { readIdentity, StoreFiles, storeSource, type StoreSourceParts } from './verify/store-source.js';
import {
  checkVerifyOptions,
  type Reading,
  type StoredSnapshot,
  type VerifyOptions,
  type VerifySource,
  type Violation,
} from './verify/verify-source.js';
import type { Digest } from '../model/digest.js';
import type { StoreContext } from './context.js';
import { isStoreError, StoreError } from '../errors.js';
import type { Database } from '../log/log.js';
import { readFailure } from '../log/leveldb/open-level.js';
import { StoredRows } from '../log/stored-rows.js';
import { isBackup, verifyBackup } from './backup/backup-reader.js';
import { ioFailure, isThere, systemCode } from './files/files.js';
import {
  checkFree,
  claimDirectory,
  lockHolder,
  refuseSecondOwner,
  withOwner,
  writerAtWork,
  writtenState,
} from './open/lock.js';
import { mustBeString } from './argument-types.js';
import { SIDECAR_FILE } from './open/sidecar.js';
import type { DatabaseFiles } from './open/database-files.js';
import { lookAtDatabase } from './open/inspect-database.js';
import { openDatabaseReadOnly } from './open/read-only-database.js';

/** Verifies what needs no log, which cannot be opened: checkpoint, snapshots and blobs. */
async function verifyWithoutLog(
  { identity, checkpoint, files, snapshots }: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const reading: Reading = { report: (violation) => violations.push(violation), signal: options.signal };
  const source: VerifySource = {
    identity,
    checkpoint,
    // Unbounded: it is unknown how much is lost.
    size: Number.MAX_SAFE_INTEGER,
    records: nothing,
    hashes: nothing,
    contents: nothing,
    blobs: () => files.blobs(),
    async *snapshots(): AsyncGenerator<StoredSnapshot> {
      yield* snapshots;
    },
  };
  await checkpointClaims(source, options, reading.report);
  checkDamagedLogs(files.damagedLogs(), 0, { ...reading, onNotice: options.onNotice });
  if (options.fast === true) return violations;
  await snapshotClaims(source, reading, (done) => options.onProgress?.({ what: 'snapshots', done, total: undefined }));
  await checkBlobs(source, { byDigest: new Map(), ofImage: new Map() }, reading, {
    isWhole: false,
    onLooked: (done) => options.onProgress?.({ what: 'blobs', done, total: undefined }),
  });
  return violations;
}

async function* nothing(): AsyncGenerator<never> {
  // A log that cannot be opened yields nothing.
}

/** Verifies an open store at one moment while writes continue; `rebuilt` waits for rebuilds. */
export async function verifyOpenStore(
  { directory, sidecar, log, views, blobs, reader }: StoreContext,
  rebuilt: () => Promise<void>,
  options: VerifyOptions,
): Promise<readonly Violation[]> {
  checkVerifyOptions(options);
  const files = new StoreFiles(directory);
  // Before the rows: a later checkpoint or snapshot may cover events not in them.
  const checkpoint = await files.checkpoint();
  const snapshots = await files.snapshots();
  const needsBlob = (digest: Digest): boolean => views.blobs.byDigest.has(digest);
  await rebuilt();
  // No await, so nothing is folded meanwhile: rows and views match.
  const rows = log.storedRows();
  const { hasSubjectIndex } = log;
  const liveViews = { seq: reader.head.seq, digests: viewDigestsOf(views) };
  try {
    const source = await storeSource({
      identity: sidecar,
      rows,
      files,
      checkpoint,
      snapshots,
      hasSubjectIndex,
      liveViews,
      isInFlight: (digest) => blobs.isInOrder(digest, needsBlob),
    });
    return await verifySource(source, options);
  } finally {
    await rows.close();
  }
}

/** Implements `verifyStore` of the library; see there. */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
  mustBeString('directory', directory);
  checkVerifyOptions(options);
  const path = resolve(directory);
  if (await isBackup(path)) return (await verifyBackup(path, options)).violations;
  await needStore(path);
  const release = await claimDirectory(path);
  try {
    const before = await writtenState(path);
    const violations = await verifyClaimed(path, options);
    // A concurrent writer created and removed files that looked like damage.
    if (violations.length > 0 && (await writtenState(path)) !== before) throw writerAtWork(path);
    return violations;
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
  const { faults, files: read } = await lookAtDatabase(
    location,
    options.fast === true ? undefined : { maxTableBytes: Number.POSITIVE_INFINITY },
  );
  for (const { file, message } of faults) violations.push({ code: 'LOG_FILE_DAMAGED', place: `log/${file}`, message });
  // LevelDB may abort the process on a damaged table block, and needs all its other files.
  if (faults.some(({ file }) => !file.endsWith('.log'))) {
    return violations.concat(await verifyWithoutLog(parts, options));
  }
  return violations.concat(await verifyDatabase(location, read, parts, options));
}

// Does not open LevelDB, which would replay its write-ahead log and drop damaged parts of it.
async function verifyDatabase(
  location: string,
  read: DatabaseFiles | undefined,
  parts: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const database = await openDatabaseReadOnly(location, read).catch((error: unknown) => error);
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

// Beside a writer, unfinished writes would look like damage.
async function refuseLocked(path: string, location: string): Promise<void> {
  // Opening a database in LevelDB creates its directory.
  if (!(await isThere(join(location, 'CURRENT')))) return;
  try {
    await refuseSecondOwner(path);
    // Ask the system where possible: asking LevelDB would write.
    if (process.platform !== 'linux') return await checkFree(location);
    if ((await lockHolder(join(location, 'LOCK'))) !== undefined) {
      throw new StoreError('STORE_LOCKED', `cannot verify ${path}: it is open`, { data: { location } });
    }
  } catch (error) {
    throw await withOwner(path, error);
  }
}

// Refuses anything but a store: opening it would leave half a store there.
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
