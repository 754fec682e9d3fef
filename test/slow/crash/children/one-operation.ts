import { openStore } from '../../../../src/store/open/open-store.js';
import { imageConfig } from '../../../support/image-configs.js';
import { inChunks } from '../../../tar/build-tar.js';
import { tellParent } from '../../child.js';
import { Journal } from '../journal.js';
import { numberedArchive } from '../numbered-archive.js';

/* Prepares one operation on a store, says so, does it, and closes the store: to be killed on the way. */

const [directory, journalPath, operation, round] = process.argv.slice(2) as [string, string, string, string];

const journal = new Journal(journalPath);
const store = await openStore(directory, { actor: 'writer', onNotice: () => undefined });
journal.watch(store);
const archive = await numberedArchive(Number(round));
let requests = 0;

type Work = () => Promise<unknown>;

const request = (action: Parameters<typeof journal.request>[1]): Promise<unknown> =>
  journal.request(`${round}.0.${requests++}`, action);
const load: Work = () => request((options) => store.load(inChunks(archive.bytes, 50_000), options));
const createMany: Work = () =>
  Promise.all(
    Array.from({ length: 300 }, (_, lane) =>
      journal.request(`${round}.${lane + 1}.0`, (options) => store.create(imageConfig(`${round} ${lane}`), options)),
    ),
  );

const nothing: Work = async () => undefined;

/** What each operation needs before it, and what it is. */
const operations: Readonly<Record<string, readonly [prepare: Work, work: Work]>> = {
  load: [nothing, load],
  delete: [load, () => Promise.all(archive.ids.map((id) => request((options) => store.delete(id, options))))],
  snapshot: [createMany, () => request(() => store.snapshot())],
};

const [prepare, work] = operations[operation] as readonly [Work, Work];
await prepare();
await tellParent('ready');
await work();
await journal.request(`${round}.close.0`, () => store.close());
process.disconnect();
