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

/** Resolves with what is wrong with a store by itself, beside a log that cannot be opened: its checkpoint, snapshots and blobs. */
async function verifyWithoutLog(
  { identity, checkpoint, files, snapshots }: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const reading: Reading = { report: (violation) => violations.push(violation), signal: options.signal };
  const source: VerifySource = {
    identity,
    checkpoint,
    // As long as any: nobody knows what is lost.
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
  // A log that cannot be opened gives nothing.
}

/**
 * Resolves with everything that is wrong with an open store as it is at one moment, while its writers go on. `rebuilt` resolves when no
 * rebuild writes rows.
 */
export async function verifyOpenStore(
  { directory, sidecar, log, views, blobs, reader }: StoreContext,
  rebuilt: () => Promise<void>,
  options: VerifyOptions,
): Promise<readonly Violation[]> {
  checkVerifyOptions(options);
  const files = new StoreFiles(directory);
  // Before the rows: a checkpoint or a snapshot that is written from now on is of events that are not in them.
  const checkpoint = await files.checkpoint();
  const snapshots = await files.snapshots();
  const needsBlob = (digest: Digest): boolean => views.blobs.byDigest.has(digest);
  await rebuilt();
  // From here to the first wait, nothing is folded: rows and views are of one moment.
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

/** What `verifyStore` of the library does, which says how. */
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
    // A writer that came meanwhile made and removed files that this took for damage.
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
  // LevelDB may end the process at a damaged block of a table, and opens nothing without its other files.
  if (faults.some(({ file }) => !file.endsWith('.log'))) {
    return violations.concat(await verifyWithoutLog(parts, options));
  }
  return violations.concat(await verifyDatabase(location, read, parts, options));
}

// Not opened by LevelDB, which replays its write-ahead log, and drops for good what is damaged in it.
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
