import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import { filesBelow } from '../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { seqsProjection } from '../support/own-projections.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { builtArtifact, loadArtifacts } from './artifacts/built-artifacts.js';
import { openTestStore } from '../support/test-store.js';
import { bytesOf } from '../support/text-bytes.js';

const id = idNamed('a');
const anotherId = idNamed('b');
const artifact = builtArtifact({ artifactType: 'a/b' });
const nothing = (): Readable => Readable.from([]);

/** Every member that reads, each called in a way that an open store answers. */
const reads: { readonly [member: string]: (store: EventStore) => unknown } = {
  get: (store) => store.get(id),
  search: (store) => store.search(id),
  getParent: (store) => store.getParent(anotherId),
  getLastUpdated: (store) => store.getLastUpdated(id),
  isBuiltLocally: (store) => store.isBuiltLocally(id),
  children: (store) => store.children(id),
  map: (store) => store.map(),
  heads: (store) => store.heads(),
  len: (store) => store.len(),
  getMetadata: (store) => store.getMetadata(id, 'k'),
  metadata: (store) => store.metadata(id),
  resolve: (store) => store.resolve('x:1'),
  references: (store) => store.references(id),
  referenceEntries: (store) => store.referenceEntries(),
  imageEntries: (store) => store.imageEntries(),
  manifests: (store) => store.manifests(id),
  save: (store) => store.save('x:1').destroy(),
  stats: (store) => store.stats(),
  erasures: (store) => store.erasures(),
  artifacts: (store) => store.artifacts(),
  artifact: (store) => store.artifact(artifact.descriptor.digest),
  artifactManifest: (store) => store.artifactManifest(artifact.descriptor.digest),
  referrers: (store) => store.referrers(id),
  find: (store) => store.find(id),
  log: (store) => store.log,
  backend: (store) => store.backend,
  layers: (store) => store.layers,
  registry: (store) => store.registry,
  verifierKey: (store) => store.verifierKey,
  readContent: (store) => store.readContent(id),
  savedContents: (store) => store.savedContents('x:1').release(),
};

/** Every member that asks the log, each called in a way that an open store answers. */
const questions: { readonly [member: string]: (store: EventStore) => Promise<unknown> } = {
  backup: (store) => store.backup(`${store.directory}-backup`),
  saveTo: async (store) => {
    await using file = await open(`${store.directory}-saved.tar`, 'w');
    await store.saveTo(file, 'x:1');
  },
  settled: (store) => store.settled(),
  verify: (store) => store.verify(),
  history: async (store) => store.history(id)[Symbol.asyncIterator]().next(),
  referenceHistory: (store) => store.referenceHistory('x:1'),
  removal: (store) => store.removal('x:1'),
  searchAll: (store) => store.searchAll('a', { past: true }),
  at: (store) => store.at(1),
  imageEver: (store) => store.imageEver(id),
  pointAt: (store) => store.pointAt(1),
  diff: (store) => store.diff(0, 1),
  consumers: (store) => store.consumers(),
  checkpoint: (store) => store.checkpoint(),
  readTile: (store) => store.readTile('tile/entries/000.p/1'),
  prove: (store) => store.prove(1),
  proveInclusion: (store) => store.proveInclusion(1),
  proveConsistency: (store) => store.proveConsistency(1),
  project: async (store) => (await store.project(seqsProjection('seqs'))).close(),
};

/** Every member that writes, each called in a way that an open store takes. */
const writes: { readonly [member: string]: (store: EventStore) => Promise<unknown> } = {
  checkWritable: async (store) => store.checkWritable(),
  create: (store) => store.create(imageConfig('c')),
  setParent: (store) => store.setParent(id, idNamed('c')),
  setLastUpdated: (store) => store.setLastUpdated(id),
  setBuiltLocally: (store) => store.setBuiltLocally(id),
  setMetadata: (store) => store.setMetadata(id, 'l', bytesOf('v')),
  deleteMetadata: (store) => store.deleteMetadata(id, 'k'),
  tag: (store) => store.tag({ source: id, target: 'y:1' }),
  untag: (store) => store.untag('x:1'),
  deleteArtifact: (store) => store.deleteArtifact(artifact.descriptor.digest),
  delete: (store) => store.delete(anotherId),
  erase: (store) => store.erase(idNamed('deleted'), 'no longer allowed'),
  prune: (store) => store.prune({ before: 0 }),
  snapshot: (store) => store.snapshot(),
  rebuild: (store) => store.rebuild(),
  consumer: async (store) => store.consumer('c').close(),
  resetConsumer: (store) => store.resetConsumer('c', 0),
  removeConsumer: (store) => store.removeConsumer('c'),
};

async function preparedStore(t: ExecutionContext, directory?: string): Promise<EventStore> {
  const store = await openTestStore(t, directory === undefined ? {} : { directory });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  await store.setParent(anotherId, id);
  await store.setMetadata(id, 'k', bytesOf('v'));
  await store.tag({ source: id, target: 'x:1' });
  await loadArtifacts(store, [artifact]);
  await store.delete(await store.create(imageConfig('deleted')));
  return store;
}

test('these tests know every member of a store', async (t) => {
  const store = await openTestStore(t);
  const others = ['constructor', 'close', 'load'];
  const members = new Set<string>();
  for (let at = Object.getPrototypeOf(store); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) if (!others.includes(name)) members.add(name);
  }
  t.deepEqual([...members].sort(), [reads, questions, writes].flatMap(Object.keys).sort());
});

test('an open store answers every read and takes every write', async (t) => {
  const store = await preparedStore(t);
  for (const [member, read] of Object.entries(reads)) t.notThrows(() => read(store), member);
  for (const [member, ask] of Object.entries(questions)) await t.notThrowsAsync(ask(store), member);
  for (const [member, write] of Object.entries(writes)) await t.notThrowsAsync(write(store), member);
});

test('a store that is closing finishes what waits and takes nothing more', async (t) => {
  const store = await preparedStore(t);
  const waiting = store.create(imageConfig('waiting'));
  const closed = store.close();
  for (const [member, read] of Object.entries(reads)) storeError(t, 'STORE_CLOSED', () => read(store), member);
  for (const [member, ask] of Object.entries(questions)) await rejection(t, 'STORE_CLOSED', () => ask(store), member);
  for (const [member, write] of Object.entries(writes)) await rejection(t, 'STORE_CLOSED', write(store), member);
  t.is(await waiting, idNamed('waiting'));
  await closed;
  const again = await openStore(store.directory);
  t.is(again.get(idNamed('waiting')).id(), idNamed('waiting'));
  await again.close();
});

test('a closed store refuses every read and write, and closes again', async (t) => {
  const store = await preparedStore(t);
  const { log, backend, layers } = store;
  const layer = [...layers.map().values()];
  await store.close();
  await store.close();
  for (const [member, read] of Object.entries(reads)) storeError(t, 'STORE_CLOSED', () => read(store), member);
  for (const [member, ask] of Object.entries(questions)) await rejection(t, 'STORE_CLOSED', () => ask(store), member);
  for (const [member, write] of Object.entries(writes)) await rejection(t, 'STORE_CLOSED', write(store), member);
  await rejection(t, 'STORE_CLOSED', store.load(nothing()));
  t.deepEqual(layer, []);
  // The parts that a caller kept are closed with the store.
  storeError(t, 'STORE_CLOSED', () => backend.walk(() => undefined));
  storeError(t, 'STORE_CLOSED', () => backend.get(id));
  storeError(t, 'STORE_CLOSED', () => backend.getMetadata(id, 'k'));
  await rejection(t, 'STORE_CLOSED', backend.set(imageConfig('c')));
  await rejection(t, 'STORE_CLOSED', backend.deleteMetadata(id, 'k'));
  storeError(t, 'STORE_CLOSED', () => layers.map());
  await rejection(t, 'STORE_CLOSED', layers.register(nothing()));
  await rejection(t, 'STORE_CLOSED', log.read()[Symbol.asyncIterator]().next() as Promise<unknown>);
});

test('a store is closed where `await using` would close it', async (t) => {
  const store = await preparedStore(t);
  await store[Symbol.asyncDispose]();
  storeError(t, 'STORE_CLOSED', () => store.len());
});

test('a store for reading only answers every read, refuses every write and changes nothing', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await preparedStore(t, directory)).close();
  const ours = async (): Promise<[string, string][]> =>
    // LevelDB itself writes to its directory whenever it opens.
    [...(await filesBelow(directory))]
      .filter(([path]) => !path.startsWith('log/'))
      .map(([path, bytes]) => [path, Buffer.from(bytes).toString('hex')] as [string, string])
      .sort();
  const before = await ours();
  const store = await openStore(directory, { readOnly: true });
  const head = store.log.head;
  for (const [member, read] of Object.entries(reads)) t.notThrows(() => read(store), member);
  for (const [member, ask] of Object.entries(questions)) await t.notThrowsAsync(ask(store), member);
  for (const [member, write] of Object.entries(writes)) await rejection(t, 'STORE_READ_ONLY', write(store), member);
  await rejection(t, 'STORE_READ_ONLY', store.load(nothing()));
  await rejection(t, 'STORE_READ_ONLY', store.layers.register(nothing()));
  t.deepEqual(store.log.head, head);
  await store.close();
  t.deepEqual(await ours(), before);
});
