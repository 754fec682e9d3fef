import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { type BuiltImage, buildImage, dockerEntries } from '../archive/built-archives.js';
import { buildTar, collect } from '../support/build-tar.js';
import { archivePath, expectedArchives, imagesIn, withoutManifests } from './fixture-archives.js';
import { temporaryStore, wrongFiles } from './temporary-store.js';

/** A docker archive of one image without a name, its layers compressed where `isGzip` says. */
async function archiveOf(image: BuiltImage, isGzip: boolean): Promise<Buffer> {
  const entries = dockerEntries([image], [{ RepoTags: null }]);
  return buildTar(
    entries.map((entry) =>
      isGzip && entry.name.endsWith('.tar') ? { ...entry, body: gzipSync(entry.body as Buffer) } : entry,
    ),
  );
}

/** Reads every layer of every image; a blob that is not there or not the right one fails. */
async function readLayers(store: EventStore): Promise<number> {
  let bytes = 0;
  for (const id of store.map().keys()) bytes += (await collect(store.save(id))).length;
  return bytes;
}

test('the same archive loaded many times at once is in the store once', async (t) => {
  const store = await temporaryStore(t);
  const results = await Promise.all(Array.from({ length: 5 }, () => store.load(archivePath('oci-all.tar'))));
  const created = results.flatMap(({ images }) => images.filter((image) => image.created));
  t.is(created.length, store.len());
  t.deepEqual(await imagesIn(store), expectedArchives['oci-all.tar'] ?? []);
});

test('two archives with other compressions of the same layers, loaded at once, leave both images whole', async (t) => {
  const store = await temporaryStore(t);
  await Promise.all(['docker25-all.tar', 'oci-all.tar', 'crane-app.tar'].map((name) => store.load(archivePath(name))));
  t.true((await readLayers(store)) > 0);
  const expected = (expectedArchives['docker25-all.tar'] ?? []).map(({ id, parent }) => ({ id, parent }));
  const found = withoutManifests(await imagesIn(store)).map(({ id, parent }) => ({ id, parent }));
  for (const image of expected)
    t.deepEqual(
      found.find(({ id }) => id === image.id),
      image,
    );
});

test('one of two loads that want the same free tag is refused, and the blobs they share stay', async (t) => {
  const store = await temporaryStore(t);
  const images = await Promise.all([buildImage(['base', 'one']), buildImage(['base', 'two'])]);
  const archives = await Promise.all(
    images.map((image) => buildTar(dockerEntries([image], [{ RepoTags: ['free:1'] }]))),
  );
  const loads = archives.map((bytes) => store.load(Readable.from([bytes]), { overwrite: false }));
  const settled = await Promise.allSettled(loads);
  const states = settled.map(({ status }) => status).sort();
  t.deepEqual(states, ['fulfilled', 'rejected']);
  const refused = settled.find((result) => result.status === 'rejected')?.reason as { code: string };
  t.is(refused.code, 'REFERENCE_EXISTS');
  t.is(store.len(), 1);
  t.is(store.stats().layers, 2);
  t.true((await readLayers(store)) > 0);
});

type Move = { readonly image: number; readonly act: 'load' | 'loadGzip' | 'delete' };

const moves = fc.array(fc.record<Move>({ image: fc.nat(3), act: fc.constantFrom('load', 'loadGzip', 'delete') }), {
  minLength: 2,
  maxLength: 12,
});

test('loads and deletes of images that share layers, all at once, never lose a blob nor leave one', async (t) => {
  const images = await Promise.all([['a'], ['a', 'b'], ['a', 'b', 'c'], ['b', 'a']].map((files) => buildImage(files)));
  const plain = await Promise.all(images.map((image) => archiveOf(image, false)));
  const packed = await Promise.all(images.map((image) => archiveOf(image, true)));
  await fc.assert(
    fc.asyncProperty(moves, async (all) => {
      const store = await temporaryStore(t);
      await store.load(Readable.from([plain[2] as Buffer]));
      const perform = async ({ image, act }: Move): Promise<void> => {
        if (act === 'load') await store.load(Readable.from([plain[image] as Buffer]));
        else if (act === 'loadGzip') await store.load(Readable.from([packed[image] as Buffer]));
        else await store.delete((images[image] as BuiltImage).id as ImageId);
      };
      // A delete of an image that is not there yet is refused, which is right.
      await Promise.allSettled(all.map(perform));
      await readLayers(store);
      await store.close();
      t.deepEqual(await wrongFiles(store.directory), []);
    }),
    { numRuns: 25 },
  );
});

test('a save that has begun is whole although its image is deleted meanwhile', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const whole = await collect(store.save('twice:1'));
  const stream = store.save('twice:1');
  for (const id of store.map().keys()) await store.delete(id);
  t.true(whole.equals(await collect(stream)));
});
