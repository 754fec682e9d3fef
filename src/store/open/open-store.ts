import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Subject } from 'rxjs';
import {
  mustBeBoolean,
  mustBeFunction,
  mustBeOptions,
  mustBeSignal,
  mustBeString,
  mustBeText,
} from '../argument-types.js';
import { checkKeyName } from '../keys.js';
import { checkOrigin } from '../../log/note.js';
import { originOf } from '../writer.js';
import type { EventStore } from '../event-store.js';
import { type LayerGetReleaser, type OpenOptions, openOptionNames } from '../store.js';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { LevelLog } from '../../log/leveldb/level-log.js';
import { openLevel } from '../../log/leveldb/open-level.js';
import {
  inSystem,
  ioFailure,
  isThere,
  makeDurableDirectory,
  namesIn,
  removeTemporaryFiles,
  syncDirectory,
  syncFiles,
  systemCode,
  temporaryPath,
} from '../files/files.js';
import { type DatabaseFiles, databaseFiles } from './database-files.js';
import { defaultActor } from './default-actor.js';
import { checkDatabase, newestTables } from './inspect-database.js';
import { fixedViews, type ViewSet } from '../../../projections/views.js';
import type { Digest } from '../../model/digest.js';
import { readClock } from '../../model/timestamp.js';
import { BlobStore } from '../layers/blob-store.js';
import {
  beforeLock,
  checkLockTimeout,
  claimDirectory,
  refuseSecondOwner,
  removeOwner,
  whenUnlocked,
  withOwner,
  writeOwner,
  writtenState,
} from './lock.js';
import { LocalEventStore } from '../local-event-store.js';
import { StoreContext } from '../context.js';
import { CheckpointKeeper, checkTreeTail, readCheckpointFile } from './checkpoint-keeper.js';
import { HeldLayers } from '../layers/layer-store.js';
import { requiredOs } from '../docker-backend.js';
import { isHalfRebuilt, logFolders, removeLogCopies } from '../files/log-folders.js';
import { openDatabase, openDatabaseReadOnly } from './open-database.js';
import { checkedLimits, Uploads } from '../registry/local-uploads.js';
import {
  newSidecar,
  readSidecar,
  type Sidecar,
  SIDECAR_FILE,
  upgradeSidecar,
  writeSidecar,
  writtenVersion,
} from './sidecar.js';
import { SnapshotFolder } from '../snapshots/snapshot-folder.js';
import { Snapshotter } from '../snapshots/snapshotter.js';
import { pastViewsAt, viewsAt } from '../snapshots/views-at.js';
import { freeBytes, Reserve, unwrittenBytes } from '../files/reserve.js';
import { refuseBackup, refuseEnclosed, refuseOtherFiles } from './vacancy.js';
import { WholeTables } from './whole-tables.js';

/** Validated options, with an actor and a notice callback. */
type CheckedOptions = OpenOptions & {
  readonly actor: string;
  readonly snapshotEvery: number;
  readonly onNotice: (notice: string) => void;
};

/** Default snapshot interval in events: folding that many takes a quarter of a second. */
const SNAPSHOT_EVERY = 50_000;

/**
 * Validates the options of `openStore`; the actor defaults to `user@host`. Does no file I/O.
 * @throws {TypeError} naming the option that is of the wrong type
 * @throws {StoreError} ORIGIN_INVALID; KEY_FOREIGN when the signer is of another origin;
 *   ENVELOPE_INVALID when the actor is empty, too long or no Unicode
 */
function checkOpenOptions(directory: string, options: OpenOptions): CheckedOptions {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeOptions(options, openOptionNames);
  const { create, readOnly, useReserve, os, origin, signer, layers, now, onNotice, onProgress, signal } = options;
  const { snapshotEvery = SNAPSHOT_EVERY } = options;
  mustBeBoolean('create', create);
  mustBeBoolean('readOnly', readOnly);
  mustBeBoolean('useReserve', useReserve);
  checkLockTimeout(options.lockTimeoutMs);
  mustBeText('os', os);
  mustBeText('origin', origin);
  if (origin !== undefined) checkOrigin(origin);
  if (!isSigner(signer)) throw new TypeError('signer must be what readSigner gives');
  if (origin !== undefined && signer !== undefined) checkKeyName(signer.origin, origin);
  if (!areLayers(layers)) throw new TypeError("layers must be 'none' or an object with get and release");
  if (now !== undefined) mustBeFunction('now', now);
  if (!Number.isSafeInteger(snapshotEvery) || snapshotEvery < 0) {
    throw new TypeError('snapshotEvery must be a whole number, 0 or more');
  }
  checkedLimits(options.uploads ?? {});
  if (onNotice !== undefined) mustBeFunction('onNotice', onNotice);
  if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
  mustBeSignal('signal', signal);
  return {
    ...options,
    snapshotEvery,
    onNotice: subscribed(onNotice ?? warn),
    actor: originOf(options, defaultActor()).actor,
  };
}

// A throwing subscriber causes an uncaught exception later, not a failure of the notifier.
function subscribed(onNotice: (notice: string) => void): (notice: string) => void {
  const notices$ = new Subject<string>();
  notices$.subscribe(onNotice);
  return (notice) => notices$.next(notice);
}

function warn(notice: string): void {
  process.emitWarning(notice, 'ImagelogNotice');
}

function areLayers(value: unknown): boolean {
  if (value === undefined || value === 'none') return true;
  const { get, release } = Object(value) as Record<string, unknown>;
  return typeof get === 'function' && typeof release === 'function';
}

function isSigner(value: unknown): boolean {
  if (value === undefined) return true;
  const { origin, verifierKey, check, sign } = Object(value) as Record<string, unknown>;
  return (
    [origin, verifierKey].every((each) => typeof each === 'string') &&
    [check, sign].every((each) => typeof each === 'function')
  );
}

/**
 * Creates the empty log of the store in `directory`, durable on return; a no-op when one exists.
 * LevelDB names the files of a new database before their bytes are on disk: it is created under
 * another name, so that power loss leaves no log that looks damaged.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, LOG_FAILED
 */
export async function makeLog(directory: string): Promise<void> {
  const location = join(directory, 'log');
  if (await isThere(location)) return needOwnFiles(location);
  const making = temporaryPath(directory);
  try {
    const log = await LevelLog.open(making, { createIfMissing: true });
    await log.close();
    await syncFiles(making);
    // A crash before the rename leaves what the next open removes; after it, an empty log.
    await rename(making, location);
    await syncDirectory(directory);
  } catch (error) {
    // Report the first error; the next open for writing removes the rest.
    await rm(making, { recursive: true, force: true }).catch(() => undefined);
    // Two processes may race to create a store; the open that follows decides.
    if (await isThere(location)) return;
    throw ioFailure(`make the log of the store ${directory}`, error);
  }
}

// LevelDB would turn anything here into an empty database, and write through links.
async function needOwnFiles(location: string): Promise<void> {
  const names = await inSystem(`inspect the log ${location}`, () => readdir(location));
  for (const [name, { isFile, isShared }] of databaseFiles(location, names)) {
    if (isFile && !isShared) continue;
    const text = `cannot make the log ${location}: ${name} in it is a link, or not a file`;
    throw new StoreError('IO_FAILED', text, { data: { location } });
  }
}

/** Retries of a reader on a store that is being written, before it reports damage. */
const MAX_TRIES_BESIDE_A_WRITER = 10;

/** Implements the library's `openStore`. */
export async function openStore(directory: string, options: OpenOptions = {}): Promise<EventStore> {
  const checked = checkOpenOptions(directory, options);
  const path = resolve(directory);
  await needDirectory(path, mayCreate(options));
  if (checked.readOnly === true) return openForReading(path, checked);
  return whenUnlocked(() => openForWriting(path, checked), checked);
}

async function openForWriting(path: string, checked: CheckedOptions): Promise<EventStore> {
  const onClosed = await claimDirectory(path);
  try {
    return await openClaimed(path, checked, onClosed);
  } catch (error) {
    onClosed();
    throw error;
  }
}

/** Opens a store as it is now; writes and locks nothing in it. Writers may continue. */
async function openForReading(path: string, options: CheckedOptions): Promise<EventStore> {
  for (let tries = 1; ; tries++) {
    const before = await writtenState(path);
    try {
      const sidecar = await readSidecar(path);
      if (sidecar === undefined) throw await missingStore(path);
      await refuseBackup(path);
      await refuseHalfRebuilt(path);
      // Before the log: a later checkpoint may cover events that this reader does not see.
      const checkpoint = await readCheckpointFile(path);
      // Each block of a table is checked when it is read.
      const { files } = await checkDatabase(join(path, 'log'), { maxTableBytes: 0 });
      const log = await openLogForReading(path, files);
      try {
        const reading: Reading = { checkpoint, openedState: before };
        return await openParts({ directory: path, log, sidecar, options, onClosed: () => undefined, reading });
      } catch (error) {
        await log.close();
        throw error;
      }
    } catch (error) {
      // What another process replaced or signed meanwhile is not damage.
      const isDamage = isStoreError(error) && (error.kind === 'Corrupt' || error.code === 'CHECKPOINT_FORKED');
      const isRace = isDamage && (await writtenState(path)) !== before;
      if (!isRace || tries >= MAX_TRIES_BESIDE_A_WRITER) throw error;
    }
  }
}

/**
 * Returns a function that yields `value` on its first call only: an open log retains its
 * `openDatabase`, and would retain the bytes too.
 */
function givenOnce<Value>(value: Value | undefined): () => Value | undefined {
  let left = value;
  return () => {
    const given = left;
    left = undefined;
    return given;
  };
}

function openLogForReading(directory: string, read: DatabaseFiles | undefined): Promise<LevelLog> {
  const files = givenOnce(read);
  return LevelLog.open(join(directory, 'log'), {
    createIfMissing: false,
    readOnly: true,
    openDatabase: (location) => openDatabaseReadOnly(location, files()),
  });
}

async function openClaimed(path: string, options: CheckedOptions, onClosed: () => void): Promise<EventStore> {
  const sidecar = await beforeLock(path, () => sidecarOrNoStore(path));
  if (sidecar === undefined) {
    if (!mayCreate(options)) throw await missingStore(path);
    await refuseEnclosed(path);
    await refuseOtherFiles(path);
    await makeLog(path);
  }
  await refuseBackup(path);
  await refuseHalfRebuilt(path);
  const { wasClosed } = await refuseSecondOwner(path);
  const reserve = new Reserve(path);
  if (options.useReserve === true) reserve.giveUpWhenLow();
  const wholeTables = await WholeTables.read(path, wasClosed);
  const log = await openLog(path, sidecar, options, wholeTables);
  try {
    await writeOwner(path);
    const known = sidecar === undefined ? await describeNewStore(path, log, options) : upgraded(sidecar);
    const store = await openParts({ directory: path, log, sidecar: known, options, onClosed });
    if (sidecar !== undefined && sidecar.version < known.version) await upgradeSidecar(path, known, options.onNotice);
    await wholeTables.write();
    if (options.useReserve !== true) await reserve.keep();
    return store;
  } catch (error) {
    // While the lock is still held: afterwards the file may be another owner's.
    await removeOwner(path);
    await log.close();
    await reserve.keep();
    throw error;
  }
}

async function sidecarOrNoStore(path: string): Promise<Sidecar | undefined> {
  const sidecar = await readSidecar(path);
  if (sidecar === undefined) await refuseHalfAStore(path);
  return sidecar;
}

function mayCreate({ create = true, readOnly = false }: OpenOptions): boolean {
  return create && !readOnly;
}

/** What an open for reading found before it opened the log. */
interface Reading {
  readonly checkpoint: Uint8Array | undefined;
  readonly openedState: string;
}

/** Most reads ask for a view or two: those of a store that is open for reading are built when asked for. */
async function openViewSet(
  sources: { readonly log: LevelLog; readonly snapshots: SnapshotFolder },
  options: CheckedOptions,
): Promise<ViewSet> {
  const { readOnly, signal, onProgress } = options;
  const { seq } = sources.log.head;
  if (readOnly !== true) return viewsAt(sources, seq, signal, onProgress);
  return fixedViews(await pastViewsAt(sources, seq, signal, onProgress));
}

/** What a store is opened from. */
interface StoreParts {
  readonly directory: string;
  readonly log: LevelLog;
  readonly sidecar: Sidecar;
  readonly options: CheckedOptions;
  readonly onClosed: () => void;
  readonly reading?: Reading;
}

async function openParts(opening: StoreParts): Promise<EventStore> {
  const { directory, log, sidecar, options, onClosed, reading } = opening;
  const { onNotice, signer } = options;
  const checkpoints = new CheckpointKeeper({ directory, origin: sidecar.origin, log, signer, onNotice });
  await (reading === undefined ? checkpoints.check() : checkpoints.check(reading.checkpoint));
  await checkTreeTail(log, checkpoints.size);
  const { storeId } = sidecar;
  const snapshots = new SnapshotFolder({ directory, storeId, log, readOnly: reading !== undefined, onNotice });
  const viewSet = await openViewSet({ log, snapshots }, options);
  const { seq } = log.head;
  const snapshotter = new Snapshotter({ log, snapshots, viewSet, seq, every: options.snapshotEvery, onNotice });
  const blobs = new BlobStore(join(directory, 'blobs'));
  const uploads = uploadsOf(opening, blobs, viewSet);
  if (options.readOnly !== true) {
    await removeUnfinished(directory);
    await snapshots.tidy();
    await blobs.makeDirectories();
    // Remove a crash's leftovers: staged files, and blobs whose event never became durable or whose
    // removal was pending. A log without events has more likely lost them: keep its blobs.
    if (log.head.seq === 0) await blobs.discardStaged();
    else await blobs.sweep((digest) => viewSet.views.blobs.byDigest.has(digest));
    await uploads.open();
    // Covers events that a crash left after the last checkpoint, which were just read whole.
    if (checkpoints.size < log.head.seq) await checkpoints.write();
  }
  const { layers } = options;
  const layerPlace = layers === undefined ? 'own' : layers === 'none' ? 'none' : 'elsewhere';
  const heldLayers = layers === undefined || layers === 'none' ? undefined : await takeHolds(layers, viewSet);
  const context = new StoreContext({
    directory,
    sidecar,
    log,
    checkpoints,
    snapshots,
    snapshotter,
    viewSet,
    blobs,
    forgetUploads: (digests) => uploads.forget(digests),
    layerPlace,
    heldLayers,
    policy: { os: requiredOs(options.os ?? 'any'), needsLayers: layerPlace === 'own' },
    readOnly: options.readOnly ?? false,
    openedState: reading?.openedState,
    actor: options.actor,
    now: options.now ?? Date.now,
    onNotice,
    onClosed,
  });
  return new LocalEventStore(context, uploads);
}

function uploadsOf({ directory, log, options }: StoreParts, blobs: BlobStore, viewSet: ViewSet): Uploads {
  const context = {
    directory,
    blobs,
    readOnly: options.readOnly ?? false,
    now: () => readClock(options.now ?? Date.now),
    onNotice: options.onNotice,
    blobSize: (digest: Digest) => viewSet.views.blobs.byDigest.get(digest)?.size,
    content: (digest: Digest) => log.content(digest),
    erasedAt: (digest: Digest) => viewSet.views.erasures.get(digest)?.time,
  };
  return new Uploads(context, options.uploads);
}

/** Removes what a crash left of files that were being written. */
async function removeUnfinished(directory: string): Promise<void> {
  await removeTemporaryFiles(directory);
  // A write-ahead log that was being put back.
  await removeTemporaryFiles(join(directory, 'log'));
  await removeLogCopies(directory);
}

// An image whose layers the other store lacks stays, because the log has it; it holds nothing.
async function takeHolds(layers: LayerGetReleaser, { views }: ViewSet): Promise<HeldLayers> {
  const heldLayers = new HeldLayers(layers);
  for (const [id, { chainId }] of views.images) {
    if (chainId !== undefined) await heldLayers.tryTake(id, chainId);
  }
  return heldLayers;
}

async function openLog(
  directory: string,
  sidecar: Sidecar | undefined,
  options: CheckedOptions,
  wholeTables: WholeTables,
): Promise<LevelLog> {
  try {
    const read =
      sidecar && (await beforeLock(directory, () => checkBeforeOpening(directory, sidecar, options, wholeTables)));
    const logs = givenOnce(read?.logs);
    const createIfMissing = sidecar === undefined;
    return await LevelLog.open(join(directory, 'log'), {
      createIfMissing,
      openDatabase: (location, mayCreate) => openDatabase(location, mayCreate, openLevel, logs()),
      openForReading: (location) => openDatabaseReadOnly(location),
      freeBytes: () => freeBytes(join(directory, 'log')) - unwrittenBytes(join(directory, 'log')),
      onNotice: options.onNotice,
    });
  } catch (error) {
    throw await withOwner(directory, error);
  }
}

// LevelDB drops what it cannot read of its write-ahead log, and the file: refuse before that.
async function checkBeforeOpening(
  directory: string,
  { origin }: Sidecar,
  options: CheckedOptions,
  wholeTables: WholeTables,
): Promise<DatabaseFiles | undefined> {
  const { isTorn, files } = await checkDatabase(join(directory, 'log'), newestTables(wholeTables));
  if (!isTorn) return files;
  // A torn end may be damage: the log must then stay as it is, for a rebuild to salvage.
  const log = await openLogForReading(directory, files);
  try {
    const { signer, onNotice } = options;
    await new CheckpointKeeper({ directory, origin, log, signer, onNotice }).check();
    return files;
  } finally {
    await log.close();
  }
}

/** Writes the sidecar of a store whose empty log was just created. */
async function describeNewStore(directory: string, log: LevelLog, options: OpenOptions): Promise<Sidecar> {
  throwIfAborted(options.signal);
  // Another process may have created the store, and closed it, before this one had the lock.
  const found = await readSidecar(directory);
  if (found !== undefined) return found;
  if (log.head.seq > 0) throw lostSidecar(directory, `a log of ${log.head.seq} events`);
  const sidecar = newSidecar(options.origin ?? options.signer?.origin, readClock(options.now ?? Date.now));
  // LevelDB does not sync the directory after naming its first files.
  await inSystem(`make the log of the store ${directory}`, () => syncDirectory(join(directory, 'log')));
  // A crash before this leaves an empty log that the next open takes over; after it, a store.
  await writeSidecar(directory, sidecar);
  return sidecar;
}

function upgraded(sidecar: Sidecar): Sidecar {
  return { ...sidecar, version: writtenVersion(sidecar.version) };
}

// LevelDB that may create a database removes files when CURRENT is gone: check first. A crash
// before the sidecar was written leaves an empty log.
async function refuseHalfAStore(directory: string): Promise<void> {
  const location = join(directory, 'log');
  for (const name of (await namesIn(location)) ?? []) {
    if (!/^\d+\.(?:ldb|sst|log)$/.test(name)) continue;
    const { size } = await stat(join(location, name));
    if (size > 0) throw lostSidecar(directory, `a log with ${size} bytes in ${name}`);
  }
}

/**
 * Returns the error for a directory that lacks a store's sidecar.
 * @throws {StoreError} SIDECAR_INVALID when a log is there
 */
export async function missingStore(directory: string): Promise<StoreError> {
  await refuseHalfAStore(directory);
  const message = `no store in ${directory}: it has no ${SIDECAR_FILE}`;
  return new StoreError('STORE_NOT_FOUND', message, { data: { directory } });
}

// LevelDB would create an empty folder where the log belongs.
async function refuseHalfRebuilt(directory: string): Promise<void> {
  if (!(await isHalfRebuilt(logFolders(directory)))) return;
  const message = `the store ${directory} has no log yet: a rebuild was cut short before its last step`;
  throw new StoreError('LOG_CORRUPT', message, { data: { directory, remedy: 'rebuild' } });
}

function lostSidecar(directory: string, found: string): StoreError {
  const message = `the store ${directory} has no ${SIDECAR_FILE}, expected one beside ${found}`;
  return new StoreError('SIDECAR_INVALID', message, { data: { directory } });
}

async function needDirectory(path: string, mayCreate: boolean): Promise<void> {
  try {
    if (!(await stat(path)).isDirectory()) {
      throw new StoreError('STORE_NOT_A_DIRECTORY', `${path} is a file, expected the directory of a store`, {
        data: { path },
      });
    }
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') {
      throw new StoreError('STORE_NOT_A_DIRECTORY', `${path} lies below a file`, { cause: error, data: { path } });
    }
    if (systemCode(error) !== 'ENOENT') throw ioFailure(`open the store ${path}`, error);
    if (!mayCreate)
      throw new StoreError('STORE_NOT_FOUND', `no store in ${path}`, { cause: error, data: { directory: path } });
    await refuseEnclosed(path);
    await makeDurableDirectory(path);
  }
}
