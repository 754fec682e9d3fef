import { restoreStore } from '../../../../src/store/backup/restore.js';
import type { EventStore } from '../../../../src/store/event-store.js';
import type { WriteOptions } from '../../../../src/store/store.js';
import { openStore } from '../../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../../src/store/rebuild/rebuild-store.js';
import { imageConfig } from '../../../support/image-configs.js';
import { inChunks } from '../../../support/build-tar.js';
import { tellParent } from '../../child.js';
import { Journal } from '../journal.js';
import { numberedArchive } from '../numbered-archive.js';

/* Prepares one operation on a store, says so, does it, and closes the store: to be killed on the way. */

const CREATES = 300;
const [directory, journalPath, operation, round] = process.argv.slice(2) as [string, string, string, string];

const journal = new Journal(journalPath);
const archive = await numberedArchive(Number(round));
let requests = 0;

function request<Result>(action: (options: WriteOptions) => Promise<Result>): Promise<Result | undefined> {
  return journal.request(`${round}.0.${requests++}`, action);
}

type Work = (store: EventStore) => Promise<unknown>;

const nothing: Work = async () => undefined;

const load: Work = (store) => request((options) => store.load(inChunks(archive.bytes, 50_000), options));

const deleteAll: Work = async (store) => {
  for (const id of archive.ids) await request((options) => store.delete(id, options));
};

const loadAndDelete: Work = async (store) => {
  await load(store);
  await deleteAll(store);
};

const createMany: Work = (store) =>
  Promise.all(
    Array.from({ length: CREATES }, (_, lane) =>
      journal.request(`${round}.${lane + 1}.0`, (options) => store.create(imageConfig(`${round} ${lane}`), options)),
    ),
  );

/** What each operation of an open store needs before it, and what it is. */
const operations: Readonly<Record<string, readonly [prepare: Work, work: Work]>> = {
  load: [nothing, load],
  delete: [load, deleteAll],
  snapshot: [createMany, (store) => request(() => store.snapshot())],
  erase: [
    loadAndDelete,
    async (store) => {
      for (const id of archive.ids) await request((options) => store.erase(id, 'to be forgotten', options));
    },
  ],
  prune: [loadAndDelete, (store) => request((options) => store.prune({ ...options, before: store.log.head.seq }))],
  backup: [load, (store) => request(() => store.backup(`${directory}.backup`))],
};

/** Those of a store that nobody has open. */
const closedOperations: Readonly<Record<string, () => Promise<unknown>>> = {
  rebuild: () => request(() => rebuildStore(directory, { onNotice: () => undefined })),
  restore: () => request(() => restoreStore(`${directory}.restored`, `${directory}.backup`)),
};

const closedWork = closedOperations[operation];
if (closedWork !== undefined) {
  await tellParent('ready');
  await closedWork();
} else {
  const [prepare, work] = operations[operation] as readonly [Work, Work];
  const store = await openStore(directory, { actor: 'writer', onNotice: () => undefined });
  journal.watch(store);
  await prepare(store);
  await tellParent('ready');
  await work(store);
  await journal.request(`${round}.close.0`, () => store.close());
}
process.disconnect();
