import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ViewSet } from '../../../projections/views.js';
import { throwIfAborted } from '../../abort.js';
import { isStoreError, StoreError } from '../../errors.js';
import { LevelLog } from '../../log/level-log.js';
import { readClock } from '../../model/timestamp.js';
import { BlobStore } from '../layers/blob-store.js';
import { checkDatabase, newestTables } from './check-database.js';
import { claimDirectory } from './directory-claim.js';
import {
  ioFailure,
  makeDurableDirectory,
  removeTemporaryFiles,
  syncDirectory,
  systemCode,
} from '../files/durable-file.js';
import { LocalEventStore } from '../local-event-store.js';
import type { EventStoreParts, LayerPlace } from '../event-store-parts.js';
import { CHECKPOINT_FILE, CheckpointKeeper } from './checkpoint-keeper.js';
import { HeldLayers } from '../layers/held-layers.js';
import { requiredOs } from '../backends/new-image-store.js';
import { isHalfRebuilt, logFolders, removeLogCopies } from '../rebuild/log-folders.js';
import { nodeSha256 } from '../files/node-hash.js';
import { openDatabase } from './open-database.js';
import { type CheckedOptions, checkOpenOptions } from './open-options.js';
import { makeLog } from './make-log.js';
import { refuseSecondOwner, removeOwner, withOwner, writeOwner } from './owner-file.js';
import { openDatabaseReadOnly } from './read-only-database.js';
import { newSidecar, readSidecar, type Sidecar, SIDECAR_FILE, writeSidecar } from './sidecar.js';
import { checkTreeTail } from './tree-tail.js';
import { SnapshotFolder } from '../snapshots/snapshot-folder.js';
import { Snapshotter } from '../snapshots/snapshotter.js';
import { viewsAt } from '../snapshots/views-at.js';
import { freeBytes, Reserve } from '../files/reserve.js';
import { WholeTables } from './whole-tables.js';
import type { EventStore, OpenOptions } from '../event-store.js';
import type { LayerGetReleaser } from '../store.js';

/** Times that a reader looks at a store in which another process is at work, before it takes what it finds for damage. */
const MAX_TRIES_BESIDE_A_WRITER = 10;

/** What `openStore` of the library does, which says how. */
export async function openStore(directory: string, options: OpenOptions = {}): Promise<EventStore> {
  const checked = checkOpenOptions(directory, options);
  const path = resolve(directory);
  await needDirectory(path, mayCreate(options));
  if (checked.readOnly === true) return openForReading(path, checked);
  const onClosed = await claimDirectory(path);
  try {
    return await openClaimed(path, checked, onClosed);
  } catch (error) {
    onClosed();
    throw error;
  }
}

/** Opens a store as it is at this moment. Nothing below its directory is written or locked: another process may write meanwhile. */
async function openForReading(path: string, options: CheckedOptions): Promise<EventStore> {
  for (let tries = 1; ; tries++) {
    const before = await storeState(path);
    try {
      const sidecar = await readSidecar(path);
      if (sidecar === undefined) throw noStore(path);
      await refuseHalfRebuilt(path);
      // Each block of a table is checked when it is read.
      await checkDatabase(join(path, 'log'), { maxTableBytes: 0 });
      return await openReader(path, sidecar, options);
    } catch (error) {
      // A checkpoint that was written after the log was opened is of events that this reader does not see, and no damage.
      const isRace = isStoreError(error) && error.kind === 'Corrupt' && (await storeState(path)) !== before;
      if (!isRace || tries >= MAX_TRIES_BESIDE_A_WRITER) throw error;
    }
  }
}

function openLogForReading(directory: string): Promise<LevelLog> {
  return LevelLog.open(join(directory, 'log'), {
    createIfMissing: false,
    readOnly: true,
    hash: nodeSha256,
    openDatabase: openDatabaseReadOnly,
  });
}

async function openReader(path: string, sidecar: Sidecar, options: CheckedOptions): Promise<EventStore> {
  const log = await openLogForReading(path);
  try {
    return await openParts(path, log, sidecar, options, () => undefined);
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** Differs when a writer was at work in between: each of its files is replaced, and none is written to. */
async function storeState(directory: string): Promise<string> {
  const paths = [CHECKPOINT_FILE, 'log/CURRENT', 'log'].map((name) => join(directory, name));
  const states = paths.map(async (path) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return `${found?.ino} ${found?.mtimeNs}`;
  });
  return (await Promise.all(states)).join('\n');
}

async function openClaimed(path: string, options: CheckedOptions, onClosed: () => void): Promise<EventStore> {
  const sidecar = await readSidecar(path);
  if (sidecar === undefined) {
    await refuseHalfAStore(path);
    if (!mayCreate(options)) throw noStore(path);
    await makeLog(path);
  }
  await refuseHalfRebuilt(path);
  const { wasClosed } = await refuseSecondOwner(path);
  const reserve = new Reserve(path);
  if (options.useReserve === true) reserve.giveUpWhenLow();
  const wholeTables = await WholeTables.read(path, wasClosed);
  const log = await openLog(path, sidecar, options, wholeTables);
  try {
    await writeOwner(path);
    const known = sidecar ?? (await describeNewStore(path, log, options));
    const store = await openParts(path, log, known, options, onClosed);
    await wholeTables.write();
    if (options.useReserve !== true) await reserve.keep();
    return store;
  } catch (error) {
    // While the lock is still held: afterwards the file may be another owner's.
    await removeOwner(path);
    await log.close();
    throw error;
  }
}

function mayCreate({ create = true, readOnly = false }: OpenOptions): boolean {
  return create && !readOnly;
}

async function openParts(
  directory: string,
  log: LevelLog,
  sidecar: Sidecar,
  options: CheckedOptions,
  onClosed: () => void,
): Promise<EventStore> {
  const { onNotice, signer } = options;
  const checkpoints = new CheckpointKeeper({ directory, origin: sidecar.origin, log, signer, onNotice });
  await checkpoints.check();
  await checkTreeTail(log, checkpoints.size);
  const snapshots = new SnapshotFolder({ directory, storeId: sidecar.storeId, log, onNotice });
  const viewSet = await viewsAt({ log, snapshots }, log.head.seq, options.signal);
  const { seq } = log.head;
  const snapshotter = new Snapshotter({ snapshots, viewSet, seq, every: options.snapshotEvery, onNotice });
  const blobs = new BlobStore(join(directory, 'blobs'));
  if (options.readOnly !== true) {
    await removeTemporaryFiles(directory);
    // A write-ahead log that was being put back.
    await removeTemporaryFiles(join(directory, 'log'));
    await removeLogCopies(directory);
    await snapshots.tidy();
    await blobs.makeDirectories();
    // What a crash left: staged files, and blobs whose event never became durable or whose removal did not happen. A log
    // without any event is more likely to have lost them than to need no blob: then those are left alone.
    if (log.head.seq === 0) await blobs.discardStaged();
    else await blobs.sweep((digest) => viewSet.views.blobs.byDigest.has(digest));
    // What a crash left after the last checkpoint was read whole just now: from here on its loss would be seen.
    if (checkpoints.size < log.head.seq) await checkpoints.write();
  }
  const { layers } = options;
  const layerPlace: LayerPlace = layers === undefined ? 'own' : layers === 'none' ? 'none' : 'elsewhere';
  const heldLayers = layers === undefined || layers === 'none' ? undefined : await takeHolds(layers, viewSet);
  const parts: EventStoreParts = {
    directory,
    sidecar,
    log,
    checkpoints,
    snapshots,
    snapshotter,
    viewSet,
    blobs,
    layerPlace,
    heldLayers,
    policy: { os: requiredOs(options.os ?? 'any'), needsLayers: layerPlace === 'own' },
    readOnly: options.readOnly ?? false,
    actor: options.actor,
    now: options.now ?? Date.now,
    onNotice,
    onClosed,
  };
  return new LocalEventStore(parts);
}

// An image whose layers the other store lacks stays: the log says that it is there. It holds nothing.
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
    if (sidecar !== undefined) await checkBeforeOpening(directory, sidecar, options, wholeTables);
    const createIfMissing = sidecar === undefined;
    return await LevelLog.open(join(directory, 'log'), {
      createIfMissing,
      hash: nodeSha256,
      openDatabase,
      freeBytes: () => freeBytes(directory),
      onNotice: options.onNotice,
    });
  } catch (error) {
    throw await withOwner(directory, error);
  }
}

// LevelDB drops what it cannot read of its write-ahead log, and removes the rest of that file: whatever can be refused is refused before.
async function checkBeforeOpening(
  directory: string,
  { origin }: Sidecar,
  options: CheckedOptions,
  wholeTables: WholeTables,
): Promise<void> {
  const { isTorn } = await checkDatabase(join(directory, 'log'), newestTables(wholeTables));
  if (!isTorn) return;
  // The torn end may be damage and not what a crash left: then the log must stay as it is, for a rebuild to save what is there.
  const log = await openLogForReading(directory);
  try {
    const { signer, onNotice } = options;
    await new CheckpointKeeper({ directory, origin, log, signer, onNotice }).check();
  } finally {
    await log.close();
  }
}

/** Writes the sidecar of a store whose empty log was just made. */
async function describeNewStore(directory: string, log: LevelLog, options: OpenOptions): Promise<Sidecar> {
  throwIfAborted(options.signal);
  if (log.head.seq > 0) throw lostSidecar(directory, `a log of ${log.head.seq} events`);
  const sidecar = newSidecar(options.origin ?? options.signer?.origin, readClock(options.now ?? Date.now));
  // LevelDB does not sync the directory after it named its first files.
  await syncDirectory(join(directory, 'log')).catch((error: unknown) => {
    throw ioFailure(`make the log of the store ${directory}`, error);
  });
  // A crash before this leaves an empty log, which the next open takes up; after it, a store.
  await writeSidecar(directory, sidecar);
  return sidecar;
}

// LevelDB that may create a database removes files when its CURRENT file is gone: look before it does. A crash before the sidecar was
// written leaves a log in which nothing stands yet.
async function refuseHalfAStore(directory: string): Promise<void> {
  const location = join(directory, 'log');
  for (const name of await namesIn(location)) {
    if (!/\.(?:ldb|sst|log)$/.test(name)) continue;
    const { size } = await stat(join(location, name));
    if (size > 0) throw lostSidecar(directory, `a log with ${size} bytes in ${name}`);
  }
}

function noStore(directory: string): StoreError {
  return new StoreError('STORE_NOT_FOUND', `no store in ${directory}: it has no ${SIDECAR_FILE}`, {
    data: { directory },
  });
}

// LevelDB would make an empty folder where the log belongs.
async function refuseHalfRebuilt(directory: string): Promise<void> {
  if (!(await isHalfRebuilt(logFolders(directory)))) return;
  throw new StoreError(
    'LOG_CORRUPT',
    `the store ${directory} has no log yet: a rebuild was cut short before its last step`,
    {
      data: { directory, remedy: 'rebuild' },
    },
  );
}

function lostSidecar(directory: string, found: string): StoreError {
  return new StoreError(
    'SIDECAR_INVALID',
    `the store ${directory} has no ${SIDECAR_FILE}, expected one beside ${found}`,
    {
      data: { directory },
    },
  );
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
    await makeDurableDirectory(path);
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw ioFailure(`read ${path}`, error);
  }
}
