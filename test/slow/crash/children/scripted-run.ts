import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { ImageId } from '../../../../src/model/digest.js';
import type { EventStore } from '../../../../src/store/event-store.js';
import type { WriteOptions } from '../../../../src/store/store.js';
import { idNamed, imageConfig } from '../../../support/image-configs.js';
import { bytesOf } from '../../../support/text-bytes.js';
import { buildTar, inChunks } from '../../../support/build-tar.js';
import { numberedArchive } from '../numbered-archive.js';
import { Journal } from '../journal.js';

/*
 * Does everything that writes, once, in the same order and with the same bytes and file names every time, so that the
 * n-th call of the system is the same call in every run. A request that fails is told, and the script continues: after
 * a failure of the log, as its documentation says, in a store that is opened again.
 */

const [directory, journalPath] = process.argv.slice(2) as [string, string];

// File names and the store's id follow from a counter; node's own names for what is imported are replaced before the store is.
let drawn = 0;
const counted = (size: number): Buffer => Buffer.alloc(size, crypto.createHash('sha256').update(`${drawn++}`).digest());
crypto.randomBytes = ((size: number) => counted(size)) as typeof crypto.randomBytes;
crypto.randomUUID = () => `00000000-0000-4000-8000-${counted(6).toString('hex')}`;
syncBuiltinESMExports();
const { openStore } = await import('../../../../src/store/open/open-store.js');
const { rebuildStore } = await import('../../../../src/store/rebuild/rebuild-store.js');
const { CONSUMER } = await import('../check-store.js');

let clock = Date.UTC(2026, 0, 1);
const journal = new Journal(journalPath);
let requests = 0;

function request<Result>(action: (options: WriteOptions) => Promise<Result>): Promise<Result | undefined> {
  return journal.request(`script.0.${requests++}`, action);
}

/** Opens the store; a fault may be in the way of one try or two, and not of more. */
async function open(): Promise<EventStore> {
  const now = (): number => clock++;
  for (let tries = 0; tries < 5; tries++) {
    const store = await request(() => openStore(directory, { actor: 'script', now, onNotice: () => undefined }));
    if (store === undefined) continue;
    journal.watch(store);
    return store;
  }
  return process.exit(0);
}

type Step = (store: EventStore, options: WriteOptions) => Promise<unknown>;

const [first, second] = [await numberedArchive(1, 5_000), await numberedArchive(2)];
const layer = await buildTar([{ name: 'file', body: 'built' }]);
const [parent, child] = [idNamed('base'), idNamed('top')];

/** In the place of a step: the store is closed, and what was written is read from LevelDB's write-ahead log. */
const REOPEN = 'reopen';

const steps: readonly (Step | typeof REOPEN)[] = [
  (store, options) => store.create(imageConfig('base'), options),
  (store, options) => store.create(imageConfig('top'), options),
  (store, options) => store.setParent(child, parent, options),
  (store, options) => store.tag({ source: parent, target: 'crash/app:1' }, options),
  // One whose layers stay in memory, and one whose layers are staged.
  (store, options) => store.load(inChunks(first.bytes), options),
  (store, options) => store.load(inChunks(second.bytes), options),
  (store, options) => store.tag({ source: child, target: 'crash/app:1' }, options),
  (store, options) => store.setMetadata(child, 'note', bytesOf('kept'), options),
  (store) => store.snapshot(),
  consumeThree,
  (store, options) => store.delete(second.ids[1] as ImageId, options),
  (store, options) => store.untag('crash/app:1', options),
  registerAndRelease,
  (store, options) => store.delete(parent, options),
  REOPEN,
  (store, options) => store.create(imageConfig('another'), options),
  (store, options) => store.erase(parent, 'to be forgotten', options),
  (store, options) => store.prune({ ...options, before: store.log.head.seq }),
  (store) => store.checkpoint(),
  (store) => store.backup(`${directory}.backup`),
];

async function consumeThree(store: EventStore): Promise<void> {
  await using consumer = store.consumer(CONSUMER);
  let left = 3;
  for await (const event of consumer) {
    await consumer.ack(event);
    journal.consumed(event.seq);
    if (--left === 0) return;
  }
}

async function registerAndRelease(store: EventStore, options: WriteOptions): Promise<void> {
  const registered = await store.layers.register(inChunks(layer), undefined, options);
  await request((own) => Promise.resolve(store.layers.release(registered, own)));
}

let store = await open();
for (const step of steps) {
  if (step !== REOPEN) await request((options) => step(store, options));
  if (step !== REOPEN && !journal.hasFailed('LOG_FAILED')) continue;
  await request(() => store.close());
  store = await open();
}
await request(() => store.close());
// Nobody has it open now.
await request(() => rebuildStore(directory, { onNotice: () => undefined }));
// The database that was written is read from its log, which then is a table.
store = await open();
await request((options) => store.create(imageConfig('last'), options));
await request(() => store.close());
