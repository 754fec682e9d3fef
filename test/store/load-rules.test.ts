import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { LoadOptions, LoadResult } from '../../src/store/store.js';
import { type BuiltImage, buildImage, dockerEntries } from '../archive/built-archives.js';
import { CountingLayers } from '../support/counting-layers.js';
import { rejection } from '../support/rejection.js';
import { type BuiltEntry, buildTar, collect } from '../support/build-tar.js';
import { archivePath, expectedArchives, imagesIn, withoutManifests } from './fixture-archives.js';
import { footprint, reopened, temporaryStore } from './temporary-store.js';

async function loadEntries(
  store: EventStore,
  entries: readonly BuiltEntry[],
  options?: LoadOptions,
): Promise<LoadResult> {
  return store.load(Readable.from([await buildTar(entries)]), options);
}

async function eventsOf(store: EventStore, from = 1): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of store.log.read({ from })) events.push(event);
  return events;
}

const id = (image: BuiltImage): ImageId => image.id as ImageId;
const step = (text: string): object => ({ created_by: text });

test('the events of a load are one transaction with one actor, reason, request and time', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-untagged.tar'));
  const first = store.log.head.seq + 1;
  await store.load(archivePath('docker25-all.tar'), { actor: 'ci@7', reason: 'release 4', requestId: 'r-1' });
  const events = await eventsOf(store, first);
  t.true(events.length > 10);
  for (const { transaction, actor, reason, requestId, time } of events) {
    t.deepEqual(transaction, { first, count: events.length });
    t.deepEqual([actor, reason, requestId, time], ['ci@7', 'release 4', 'r-1', events[0]?.time]);
  }
});

test('layers come before the image that needs them, and images before their parents and names', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const known = new Set<string | undefined>([undefined]);
  for (const event of await eventsOf(store)) {
    if (event.type === 'LayerAdded') {
      t.true(known.has(event.parent));
      known.add(event.chainId);
    } else if (event.type === 'ImageCreated') {
      t.true(known.has(event.chainId));
      known.add(event.image);
    } else if (event.type === 'ParentSet') t.true(known.has(event.image) && known.has(event.parent));
    else if (event.type === 'ReferenceSet' || event.type === 'ManifestAdded') t.true(known.has(event.image));
  }
});

async function oldAndNew(t: ExecutionContext): Promise<{ store: EventStore; old: BuiltImage; next: BuiltImage }> {
  const old = await buildImage(['old']);
  const next = await buildImage(['next']);
  const store = await temporaryStore(t);
  await loadEntries(store, dockerEntries([old], [{ RepoTags: ['shop/app:prod'] }]));
  return { store, old, next };
}

test('a tag that a load moves says where it pointed before, in the event and in the result', async (t) => {
  const { store, old, next } = await oldAndNew(t);
  const { references } = await loadEntries(store, dockerEntries([next], [{ RepoTags: ['shop/app:prod', 'other'] }]));
  t.deepEqual(references, [
    { reference: 'docker.io/shop/app:prod', image: id(next), previous: id(old) },
    { reference: 'docker.io/library/other:latest', image: id(next), previous: undefined },
  ]);
  const moved = (await eventsOf(store)).filter((event) => event.type === 'ReferenceSet').map((event) => event.previous);
  t.deepEqual(moved, [undefined, id(old), undefined]);
  t.is(store.resolve('shop/app:prod'), id(next));
  t.deepEqual(store.references(id(old)), []);
});

test('with overwrite false a load that would move a tag is refused whole and changes nothing', async (t) => {
  const { store, old, next } = await oldAndNew(t);
  const before = await footprint(store);
  const entries = dockerEntries([next], [{ RepoTags: ['free:1', 'shop/app:prod'] }]);
  const error = await rejection(t, 'REFERENCE_EXISTS', loadEntries(store, entries, { overwrite: false }));
  t.is(error.data.image as string, old.id);
  t.deepEqual(await footprint(store), before);
  await loadEntries(store, dockerEntries([next], [{ RepoTags: ['free:1'] }]), { overwrite: false });
  await loadEntries(store, dockerEntries([old], [{ RepoTags: ['shop/app:prod'] }]), { overwrite: false });
  t.is(store.len(), 2);
});

test('an extra tag is set on the only image, beside the names of the archive', async (t) => {
  const image = await buildImage(['a']);
  const store = await temporaryStore(t);
  await loadEntries(store, dockerEntries([image], [{ RepoTags: ['a:1'] }]), { tag: 'mine' });
  t.deepEqual(store.references(id(image)), ['docker.io/library/a:1', 'docker.io/library/mine:latest']);
});

test('an extra tag names an image that the archive does not name', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-untagged.tar'), { tag: 'localhost:5000/x/y:3' });
  t.is(store.resolve('localhost:5000/x/y:3'), [...store.map().keys()][0] as ImageId);
});

test('an extra tag of a multi-platform archive resolves per platform, with the same index', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'), { tag: 'mine:1' });
  const [own, mine] = ['tiny:multi', 'mine:1'].map((name) =>
    ['linux/amd64', 'linux/arm64'].map((platform) => store.resolve(name, { platform })),
  );
  t.deepEqual(mine, own);
  t.not(own?.[0], own?.[1]);
  t.is(new Set(store.referenceEntries().map(({ target }) => target?.digest)).size, 1);
});

test('an extra tag for several images is refused, and so is one that is not a reference', async (t) => {
  const store = await temporaryStore(t);
  await rejection(t, 'REFERENCE_INVALID', store.load(archivePath('docker25-all.tar'), { tag: 'one:1' }));
  await rejection(t, 'REFERENCE_INVALID', store.load(archivePath('skopeo-tiny-1.tar'), { tag: 'Not A Name' }));
  t.is(store.log.head.seq, 0);
});

test('one platform of a multi-platform archive is loaded alone, and a platform it lacks is refused', async (t) => {
  const store = await temporaryStore(t);
  const { images } = await store.load(archivePath('oci-multi-platform.tar'), { platform: 'linux/arm64/v8' });
  t.deepEqual(
    images.map(({ platform }) => platform.architecture),
    ['arm64'],
  );
  t.is(store.len(), 1);
  t.is(store.resolve('tiny:multi'), images[0]?.id as ImageId);
  const before = await footprint(store);
  await rejection(
    t,
    'PLATFORM_NOT_FOUND',
    store.load(archivePath('oci-multi-platform.tar'), { platform: 'linux/s390x' }),
  );
  await rejection(t, 'PLATFORM_INVALID', store.load(archivePath('oci-multi-platform.tar'), { platform: 'a/b/c/d/e' }));
  t.deepEqual(await footprint(store), before);
  await store.load(archivePath('oci-multi-platform.tar'), { allPlatforms: true });
  t.is(store.len(), 2);
});

test('an archive without its layers loads where the store has their chains, and is refused elsewhere', async (t) => {
  const image = await buildImage(['a', 'b']);
  const other = await buildImage(['a', 'b'], { config: { Labels: { other: 'yes' } } });
  const partial = dockerEntries([other]).filter(({ name }) => !name.endsWith('.tar'));
  const store = await temporaryStore(t);
  const refusal = await rejection(t, 'LAYER_MISSING', loadEntries(store, partial));
  t.is(refusal.data.position, 0);
  t.is(store.log.head.seq, 0);
  await loadEntries(store, dockerEntries([image]));
  const { layersAdded } = await loadEntries(store, partial);
  t.is(layersAdded, 0);
  t.is(store.get(id(other)).rootFS.chainID(), store.get(id(image)).rootFS.chainID());
  await store.delete(id(image));
  t.is(store.stats().layers, 2);
});

test('an archive may lack only those layers that the store has', async (t) => {
  const base = await buildImage(['a']);
  const onTop = await buildImage(['a', 'b']);
  const partial = dockerEntries([onTop]).filter(({ name }) => name !== '0.0.tar');
  const store = await temporaryStore(t);
  await loadEntries(store, dockerEntries([base]));
  t.is((await loadEntries(store, partial)).layersAdded, 1);
  t.is(store.stats().layers, 2);
});

test('an image without layers loads, alone or under others', async (t) => {
  const empty = await buildImage([], { config: { Cmd: ['x'] } });
  const store = await temporaryStore(t);
  t.is((await loadEntries(store, dockerEntries([empty]))).layersAdded, 0);
  t.deepEqual(store.references(id(empty)), ['docker.io/library/built:0']);
});

test('a parent is kept when its steps begin those of the child, whether it comes along or is there', async (t) => {
  const base = await buildImage(['a'], { history: [step('one')] });
  const child = await buildImage(['a', 'b'], { history: [step('one'), step('two')] });
  const together = await temporaryStore(t);
  const result = await loadEntries(together, dockerEntries([child, base], [{ Parent: base.id }]));
  t.deepEqual(
    result.images.map(({ parent }) => parent),
    [id(base), undefined],
  );
  t.deepEqual(together.children(id(base)), [id(child)]);
  const apart = await temporaryStore(t);
  await loadEntries(apart, dockerEntries([base]));
  t.deepEqual((await loadEntries(apart, dockerEntries([child], [{ Parent: base.id }]))).notices, []);
  t.is(apart.getParent(id(child)), id(base));
});

test('a parent that is absent, or whose steps are not those of the child, is dropped and reported', async (t) => {
  const stranger = await buildImage(['z'], { history: [step('zero')] });
  const child = await buildImage(['a', 'b'], { history: [step('one'), step('two')] });
  const store = await temporaryStore(t);
  const absent = await loadEntries(store, dockerEntries([child], [{ Parent: stranger.id }]));
  t.is(absent.notices.length, 1);
  t.regex(absent.notices[0] ?? '', /the store does not have it/);
  const unlike = await loadEntries(store, dockerEntries([child, stranger], [{ Parent: stranger.id }]));
  t.regex(unlike.notices[0] ?? '', /do not begin those of the image/);
  t.is(store.get(id(child)).parent, '');
  t.false((await eventsOf(store)).some(({ type }) => type === 'ParentSet'));
});

test('a store without layers keeps configs, names and parents, and no blob', async (t) => {
  const store = await temporaryStore(t, { layers: 'none' });
  const { layersAdded } = await store.load(archivePath('docker25-all.tar'));
  t.is(layersAdded, 0);
  t.deepEqual(await imagesIn(store), expectedArchives['docker25-all.tar'] ?? []);
  const { blobs, layers } = store.stats();
  t.deepEqual([blobs, layers], [0, 0]);
  t.throws(() => store.save('tiny:1'), { code: 'LAYERS_UNAVAILABLE' });
});

test('a store that was filled without layers takes them from a later load', async (t) => {
  const bare = await temporaryStore(t, { layers: 'none' });
  await bare.load(archivePath('docker25-all.tar'));
  const store = await reopened(t, bare);
  const { layersAdded, images } = await store.load(archivePath('docker25-all.tar'));
  t.true(images.every(({ created }) => !created));
  t.is(layersAdded, store.stats().layers);
  t.deepEqual(withoutManifests(await imagesIn(store)), expectedArchives['docker25-all.tar'] ?? []);
});

test('layers kept elsewhere are held once for each image, and given back when a load is refused', async (t) => {
  const images = expectedArchives['docker25-all.tar'] ?? [];
  const layers = new CountingLayers(images.map(({ chainId }) => chainId));
  const store = await temporaryStore(t, { layers });
  await store.load(archivePath('docker25-all.tar'));
  await store.load(archivePath('docker25-all.tar'));
  t.deepEqual(
    [...layers.counts.values()],
    images.map(() => 1),
  );
  const lacking = new CountingLayers(images.slice(0, 3).map(({ chainId }) => chainId));
  const refusing = await temporaryStore(t, { layers: lacking });
  await rejection(t, 'LAYER_MISSING', refusing.load(archivePath('docker25-all.tar')));
  t.deepEqual([...lacking.counts.values()], [0, 0, 0]);
  t.is(refusing.log.head.seq, 0);
});

test('a store opened for reading refuses a load, and can save', async (t) => {
  const writing = await temporaryStore(t);
  await writing.load(archivePath('docker25-all.tar'));
  const store = await reopened(t, writing, { readOnly: true });
  const before = await footprint(store);
  await rejection(t, 'STORE_READ_ONLY', store.load(archivePath('oci-all.tar')));
  t.deepEqual(await footprint(store), before);
  t.true((await collect(store.save('tiny:1'))).length > 0);
});

test('a closed store refuses a load and a save', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.load(archivePath('skopeo-tiny-1.tar')));
  t.throws(() => store.save('tiny:1'), { code: 'STORE_CLOSED' });
});

test('a store for one operating system refuses images of another, whole', async (t) => {
  const store = await temporaryStore(t, { os: 'windows' });
  await rejection(t, 'OS_UNSUPPORTED', store.load(archivePath('docker25-all.tar')));
  t.is(store.log.head.seq, 0);
});

test('an archive without manifests leaves a name the manifest that it has', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-all.tar'));
  const before = store.referenceEntries();
  const { seq } = store.log.head;
  const { references } = await store.load(archivePath('skopeo-tiny-1.tar'));
  t.deepEqual(
    references.map(({ reference, previous }) => [reference, previous]),
    [['docker.io/library/tiny:1', undefined]],
  );
  t.deepEqual(store.referenceEntries(), before);
  t.is(store.log.head.seq, seq);
});
