import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkBlobs, checkSetAside } from './verify/content-check.js';
import { checkpointClaims, verifySource } from './verify/verify.js';
import { digestsOf, snapshotClaims, viewDigestsOf } from './verify/fold-check.js';
import { readIdentity, StoreFiles, storeSource, type StoreSourceParts } from './verify/store-source.js';
import {
  checkVerifyOptions,
  type Reading,
  type VerifyOptions,
  type VerifySource,
  type Violation,
} from './verify/verify-source.js';
import { salvageForecast } from './verify/salvage-forecast.js';
import { parseCheckpoint } from '../log/checkpoint.js';
import type { BlobsView } from '../../projections/layers.js';
import type { Digest } from '../model/digest.js';
import type { StoreContext } from './context.js';
import { isStoreError, StoreError } from '../errors.js';
import type { Database, RowReads } from '../log/log.js';
import { readFailure } from '../log/leveldb/open-level.js';
import { StoredRows } from '../log/stored-rows.js';
import { verifyBackup } from './backup/backup-reader.js';
import { isBackup } from './open/vacancy.js';
import { ioFailure, isThere, systemCode } from './files/files.js';
import {
  checkFree,
  checkLockTimeout,
  claimDirectory,
  lockHolder,
  refuseSecondOwner,
  whenUnlocked,
  withOwner,
  writerAtWork,
  writtenState,
} from './open/lock.js';
import { mustBeString } from './argument-types.js';
import { SIDECAR_FILE } from './open/sidecar.js';
import type { DatabaseFiles } from './open/database-files.js';
import { lookAtDatabase } from './open/inspect-database.js';
import { openDatabaseReadOnly } from './open/open-database.js';

/** Rows of a log that cannot be opened. Its size is unbounded: it is unknown how much is lost. */
const NO_ROWS: RowReads = {
  async *read() {
    // Yields nothing.
  },
  async *pages() {
    // Yields nothing.
  },
  lastSeq: async () => Number.MAX_SAFE_INTEGER,
  close: async () => undefined,
};

/**
 * Verifies what needs no log, which cannot be opened because of what is `unreadable`: checkpoint,
 * snapshots and blobs. The first of these says what a rebuild can bring back.
 */
async function verifyWithoutLog(
  parts: Omit<StoreSourceParts, 'rows'>,
  { fast, onProgress, ...options }: VerifyOptions,
  unreadable: readonly [Violation, ...Violation[]],
  location: string,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const reading: Reading = { report: (violation) => violations.push(violation), signal: options.signal };
  const source = await storeSource({ ...parts, rows: NO_ROWS });
  await checkpointClaims(source, options, reading.report);
  const [first, ...others] = unreadable;
  const forecast = fast === true ? '' : `; ${await salvageForecast(location, provedEvents(source), options.signal)}`;
  const explained = [{ ...first, message: first.message + forecast }, ...others];
  checkSetAside(source, 0, { ...reading, onNotice: options.onNotice });
  if (fast === true) return explained.concat(violations);
  const counter = (what: 'snapshots' | 'blobs') => (done: number) => onProgress?.({ what, done, total: undefined });
  const snapshots = await snapshotClaims(source, reading, counter('snapshots'));
  for (const claim of snapshots.views) await digestsOf(claim, reading.report);
  const noBlobs: BlobsView = { byDigest: new Map(), ofImage: new Map() };
  await checkBlobs(source, noBlobs, reading, { isWhole: false, onLooked: counter('blobs') });
  return explained.concat(violations);
}

/** The number of events that the checkpoint beside the log proves; 0 without a valid one. */
function provedEvents({ checkpoint }: VerifySource): number {
  try {
    return checkpoint === undefined ? 0 : parseCheckpoint(checkpoint.text).size;
  } catch (error) {
    // Reported with the checkpoints.
    if (isStoreError(error, 'CHECKPOINT_INVALID')) return 0;
    throw error;
  }
}

/** Verifies an open store at one moment while writes continue; `rebuilt` waits for rebuilds. */
export async function verifyOpenStore(
  { directory, sidecar, log, views, blobs, reader, isBlobNeeded }: StoreContext,
  rebuilt: () => Promise<void>,
  options: VerifyOptions,
): Promise<readonly Violation[]> {
  checkVerifyOptions(options);
  const files = new StoreFiles(directory);
  // Before the rows: a later checkpoint or snapshot may cover events not in them.
  const checkpoint = await files.checkpoint();
  const snapshots = await files.snapshots();
  await rebuilt();
  // No await, so nothing is folded meanwhile: rows and views match.
  const rows = log.storedRows();
  const liveViews = { seq: reader.head.seq, digests: viewDigestsOf(views) };
  const { hasSubjectIndex } = log;
  const isInFlight = (digest: Digest): Promise<boolean> => blobs.isInOrder(digest, isBlobNeeded);
  try {
    const parts = { identity: sidecar, files, checkpoint, snapshots, hasSubjectIndex, liveViews, isInFlight };
    return await verifySource(await storeSource({ ...parts, rows }), options);
  } finally {
    await rows.close();
  }
}

/** Implements `verifyStore` of the library; see there. */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
  mustBeString('directory', directory);
  checkVerifyOptions(options);
  checkLockTimeout(options.lockTimeoutMs);
  const path = resolve(directory);
  if (await isBackup(path)) return (await verifyBackup(path, options)).violations;
  await needStore(path);
  return whenUnlocked(() => verifyWhole(path, options), options);
}

async function verifyWhole(path: string, options: VerifyOptions): Promise<readonly Violation[]> {
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
  const damaged = faults.map(
    ({ file, message }): Violation => ({ code: 'LOG_FILE_DAMAGED', place: `log/${file}`, message }),
  );
  const [first, ...others] = damaged;
  // LevelDB may abort the process on a damaged table block, and needs all its other files.
  if (first !== undefined && faults.some(({ file }) => !file.endsWith('.log'))) {
    return violations.concat(await verifyWithoutLog(parts, options, [first, ...others], location));
  }
  return [...violations, ...damaged, ...(await verifyDatabase(location, read, parts, options))];
}

// Does not open LevelDB, which would replay its write-ahead log and drop damaged parts of it.
async function verifyDatabase(
  location: string,
  read: DatabaseFiles | undefined,
  parts: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  let database: Database;
  try {
    database = await openDatabaseReadOnly(location, read);
  } catch (error) {
    if (!isStoreError(error, 'LOG_CORRUPT') && !isStoreError(error, 'LOG_FAILED')) throw error;
    const unopenable: Violation = { code: 'LOG_UNOPENABLE', place: 'log', message: error.message };
    return verifyWithoutLog(parts, options, [unopenable], location);
  }
  try {
    const failure = (cause: unknown): StoreError => readFailure(cause, false);
    return await verifySource(await storeSource({ ...parts, rows: new StoredRows({ database, failure }) }), options);
  } finally {
    await database.close();
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
