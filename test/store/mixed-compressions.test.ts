import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import type { ChainId, Digest, ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import {
  type BuiltImage,
  blob,
  buildImage,
  descriptor,
  digest,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  OCI,
  ociBlobs,
} from '../archive/built-archives.js';
import { type BuiltEntry, buildTar, collect } from '../support/build-tar.js';
import { archivePath, expectedArchives, manifestsIn } from './fixture-archives.js';
import { blobFiles, temporaryStore } from './temporary-store.js';

async function loadEntries(store: EventStore, entries: readonly BuiltEntry[]): Promise<void> {
  const { notices } = await store.load(Readable.from([await buildTar(entries)]));
  if (notices.length > 0) throw new Error(notices.join('\n'));
}

const id = (image: BuiltImage): ImageId => image.id as ImageId;

/** The manifest of an image over its layers compressed, and those. */
function packed(image: BuiltImage): { manifest: string; layers: Buffer[] } {
  const layers = image.layers.map((layer) => gzipSync(layer));
  const described = layers.map((layer) => descriptor(`${OCI}.layer.v1.tar+gzip`, layer));
  return { manifest: manifestOf(image, { layers: described }), layers };
}

/** An OCI layout of the image with its layers plain as tiny:plain, and compressed as tiny:packed. */
function bothEntries(image: BuiltImage): BuiltEntry[] {
  const { manifest, layers } = packed(image);
  const plain = manifestOf(image);
  const index = indexOf([
    manifestDescriptor(plain, named('docker.io/library/tiny:plain')),
    manifestDescriptor(manifest, named('docker.io/library/tiny:packed')),
  ]);
  return [LAYOUT, ...ociBlobs([image], [plain, manifest]), ...layers.map(blob), { name: 'index.json', body: index }];
}

function targets(store: EventStore): Record<string, Digest | undefined> {
  return Object.fromEntries(store.referenceEntries().map(({ reference, target }) => [reference, target?.digest]));
}

for (const format of ['docker', 'oci'] as const) {
  test(`an image with two manifests, of plain and of compressed layers, keeps both through ${format}`, async (t) => {
    const image = await buildImage(['a', 'b']);
    const store = await temporaryStore(t);
    await loadEntries(store, bothEntries(image));
    t.is(store.len(), 1);
    t.is(store.stats().layers, 2);
    t.is(store.stats().blobs, 4);
    t.deepEqual(targets(store), {
      'docker.io/library/tiny:plain': digest(manifestOf(image)) as Digest,
      'docker.io/library/tiny:packed': digest(packed(image).manifest) as Digest,
    });
    const other = await temporaryStore(t);
    const { notices } = await other.load(store.save('tiny', { format }));
    t.deepEqual(notices, []);
    t.deepEqual(targets(other), targets(store));
    t.deepEqual((await manifestsIn(other)).get(id(image))?.sort(), (await manifestsIn(store)).get(id(image))?.sort());
    t.is(other.stats().blobs, 4);
  });
}

const OCI_FIRST = ['oci-all.tar', 'docker25-all.tar'];

for (const names of [OCI_FIRST, OCI_FIRST.toReversed()]) {
  test(`${names.join(' and then ')} leave both manifests of each image, and saves that load`, async (t) => {
    const store = await temporaryStore(t);
    for (const name of names) await store.load(archivePath(name));
    const before = await manifestsIn(store);
    const alone = await temporaryStore(t);
    await alone.load(archivePath('docker25-all.tar'));
    for (const [image, [manifest]] of await manifestsIn(alone)) t.true(before.get(image)?.includes(manifest as Digest));
    for (const image of expectedArchives['oci-all.tar'] ?? []) {
      t.true(before.get(image.id as ImageId)?.includes(image.manifest as Digest));
    }
    for (const format of ['docker', 'oci'] as const) {
      const other = await temporaryStore(t);
      const { notices } = await other.load(
        store.save(
          store.referenceEntries().map(({ reference }) => reference),
          { format },
        ),
      );
      t.deepEqual(notices, []);
      t.deepEqual([...other.map().keys()].sort(), [...store.map().keys()].sort());
      t.deepEqual(targets(other), targets(store));
    }
  });
}

const blobsOf = (store: EventStore): string[] =>
  blobFiles(store.directory)
    .map((file) => file.digest)
    .sort();

test('a blob stays while a manifest or another layer needs it, and goes with the last of them', async (t) => {
  const one = await buildImage(['a', 'b']);
  const two = await buildImage(['a', 'c']);
  const [a, b, c] = [one.layers[0], one.layers[1], two.layers[1]].map((layer) => digest(layer as Buffer));
  const store = await temporaryStore(t);
  await loadEntries(store, dockerEntries([one, two]));
  t.deepEqual(blobsOf(store), [a, b, c].sort());
  await store.delete(id(one));
  t.deepEqual(blobsOf(store), [a, c].sort());
  await store.delete(id(two));
  t.deepEqual(blobsOf(store), []);
});

test('an image that came compressed keeps its own blobs when the one that came plain goes', async (t) => {
  const image = await buildImage(['a']);
  const sibling = await buildImage(['a'], { config: { Labels: { sibling: 'yes' } } });
  const { manifest, layers } = packed(sibling);
  const index = indexOf([manifestDescriptor(manifest, named('docker.io/library/sibling:1'))]);
  const store = await temporaryStore(t);
  await loadEntries(store, dockerEntries([image]));
  await loadEntries(store, [
    LAYOUT,
    blob(sibling.config),
    blob(manifest),
    ...layers.map(blob),
    { name: 'index.json', body: index },
  ]);
  // The chain is there once, with the plain file; the compressed one is the manifest's.
  t.is(store.stats().layers, 1);
  t.deepEqual(blobsOf(store), [digest(image.layers[0] as Buffer), digest(layers[0] as Buffer)].sort());
  await store.delete(id(image));
  t.deepEqual(blobsOf(store), [digest(image.layers[0] as Buffer), digest(layers[0] as Buffer)].sort());
  const layer = store.layers.get(store.get(id(sibling)).rootFS.chainID() as ChainId);
  t.true((await collect(layer.tarStream())).equals(sibling.layers[0] as Buffer));
  await store.delete(id(sibling));
  await store.layers.release(layer);
  t.deepEqual(blobsOf(store), []);
});

test('one diff id at two positions is one blob, and goes when both have gone', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('skopeo-twice-1.tar'));
  t.is(store.stats().layers, 4);
  t.is(blobsOf(store).length, 3);
  for (const image of store.map().keys()) await store.delete(image);
  t.deepEqual(blobsOf(store), []);
});

test('every image deleted in every order of the archives leaves no file', async (t) => {
  for (const name of Object.keys(expectedArchives)) {
    for (const reverse of [false, true]) {
      const store = await temporaryStore(t);
      await store.load(archivePath(name));
      await store.load(archivePath('crane-app.tar'));
      const ids = [...store.map().keys()].sort();
      for (const image of reverse ? ids.reverse() : ids) await store.delete(image);
      t.deepEqual(blobsOf(store), [], name);
      t.deepEqual(store.referenceEntries(), []);
      t.is(store.stats().layers, 0);
    }
  }
});
