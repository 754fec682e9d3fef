import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createViews, type ViewSet } from '../../projections/views.js';
import { LevelLog } from '../../src/log/leveldb/level-log.js';
import type { StoredEvent } from '../../src/model/events.js';
import { BlobStore } from '../../src/store/layers/blob-store.js';
import { StoreContext } from '../../src/store/context.js';
import { LocalEventStore } from '../../src/store/local-event-store.js';
import { CheckpointKeeper } from '../../src/store/open/checkpoint-keeper.js';
import { openStore } from '../../src/store/open/open-store.js';
import { newSidecar } from '../../src/store/open/sidecar.js';
import { Uploads } from '../../src/store/registry/local-uploads.js';
import { Snapshotter } from '../../src/store/snapshots/snapshotter.js';
import { SnapshotFolder } from '../../src/store/snapshots/snapshot-folder.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { OpenOptions } from '../../src/store/store.js';
import type { ReadOptions } from '../../src/store/follow/event-filter.js';
import { FailingDatabases } from './failing-database.js';
import { temporaryDirectory } from './temporary-directory.js';

/** Opens a store that is closed, and whose whole log is read and checked, when the test ends. */
export async function openTestStore(
  t: ExecutionContext,
  options: OpenOptions & { readonly directory?: string } = {},
): Promise<EventStore> {
  const { directory = join(await temporaryDirectory(t), 'store'), ...rest } = options;
  const store = await openStore(directory, { actor: 'tester', ...rest });
  t.teardown(async () => {
    await store.close();
    const again = await openStore(directory, { ...rest, layers: 'none', create: false });
    for await (const _ of again.log.read());
    await again.close();
  });
  return store;
}

/** An event store over a database that fails on demand. */
export interface FailingStore {
  readonly store: EventStore;
  readonly databases: FailingDatabases;
  /** The store's own views. */
  readonly viewSet: ViewSet;
  /** The notices of the store. */
  readonly notices: readonly string[];
}

/** Opens a new store over a failing database; it is closed when the test ends, and no failed handle was written to. */
export async function openFailingStore(t: ExecutionContext, now: () => number = Date.now): Promise<FailingStore> {
  const directory = await temporaryDirectory(t);
  const databases = new FailingDatabases();
  const options = { createIfMissing: true, openDatabase: databases.open };
  const log = await LevelLog.open(join(directory, 'log'), options);
  const blobs = new BlobStore(join(directory, 'blobs'));
  await blobs.makeDirectories();
  const sidecar = newSidecar(undefined, 0);
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  const snapshots = new SnapshotFolder({ directory, storeId: sidecar.storeId, log, onNotice });
  const viewSet = createViews();
  const uploads = new Uploads({
    directory,
    blobs,
    readOnly: false,
    now,
    onNotice,
    blobSize: () => undefined,
    content: () => undefined,
    erasedAt: () => undefined,
  });
  const context = new StoreContext({
    directory,
    sidecar,
    log,
    snapshots,
    snapshotter: new Snapshotter({ log, snapshots, viewSet, seq: 0, every: 0, onNotice }),
    onNotice,
    checkpoints: new CheckpointKeeper({ directory, origin: sidecar.origin, log, signer: undefined, onNotice }),
    viewSet,
    blobs,
    forgetUploads: (digests) => uploads.forget(digests),
    layerPlace: 'own',
    heldLayers: undefined,
    policy: { os: undefined, needsLayers: true },
    readOnly: false,
    actor: 'tester',
    now,
    onClosed: () => undefined,
  });
  const store = new LocalEventStore(context, uploads);
  t.teardown(async () => {
    await store.close();
    databases.verify();
  });
  return { store, databases, viewSet, notices };
}

/** Every event that a read of the log gives. */
export async function eventsOf(store: EventStore, options?: ReadOptions): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of store.log.read(options)) events.push(event);
  return events;
}
