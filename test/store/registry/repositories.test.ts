import { buffer } from 'node:stream/consumers';
import test from 'ava';
import { MAX_KEPT_REPOSITORIES, MAX_KEPT_TAG_LISTS, MAX_SEARCHED_REPOSITORIES } from '../../../src/limits.js';
import { type Digest, digestOf, type ImageId } from '../../../src/model/digest.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { parseReference } from '../../../src/model/reference.js';
import { imageNamed, indexOf, push, type PushableImage, signatureOf, stage } from '../../support/pushed-images.js';
import { rejection } from '../../support/rejection.js';
import { bytesOf } from '../../support/text-bytes.js';
import { archivePath } from '../fixture-archives.js';
import { reopened, temporaryStore } from '../temporary-store.js';

const APP = 'docker.io/shop/app';
const OTHER = 'docker.io/shop/other';
const ELSEWHERE = 'quay.example.com:5000/x/y';

const layerOf = ({ blobs }: PushableImage): Digest => digestOf(blobs[1] as Uint8Array);

test('repositories and tags are listed in order; a repository without a manifest is not listed', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  t.deepEqual(store.registry.repositories(), []);
  t.is(store.registry.tags(APP), undefined);
  await stage(store, OTHER, image.blobs[0] as Uint8Array);
  for (const repository of [ELSEWHERE, APP]) await push(store, repository, image, { tags: ['b', 'a', 'B', '1.0'] });
  t.deepEqual(store.registry.repositories(), [APP, ELSEWHERE]);
  t.deepEqual(store.registry.tags(ELSEWHERE), ['1.0', 'B', 'a', 'b']);
  t.is(store.registry.tags(OTHER), undefined);
  await push(store, OTHER, image);
  t.deepEqual(store.registry.tags(OTHER), []);
});

test('listed tags follow each push and removal, and what a caller does with a list is its own', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  await push(store, APP, image, { tags: ['b'] });
  store.registry.tags(APP)?.push('x');
  t.deepEqual(store.registry.tags(APP), ['b']);
  await push(store, APP, image, { tags: ['a', 'b'] });
  t.deepEqual(store.registry.tags(APP), ['a', 'b']);
  await store.untag(`${APP}:b`);
  t.deepEqual(store.registry.tags(APP), ['a']);
  // More lists than are remembered.
  const others = Array.from({ length: MAX_KEPT_TAG_LISTS + 1 }, (_, at) => `docker.io/many/r${at}`);
  for (const [at, other] of others.entries()) await push(store, other, image, { tags: [`${at}`] });
  for (const [at, other] of [...others.entries(), ...others.entries()]) {
    t.deepEqual(store.registry.tags(other), [`${at}`]);
  }
});

test('manifests and blobs are those of a repository, also after the store was opened again', async (t) => {
  let store = await temporaryStore(t);
  const [a, b] = [await imageNamed('a'), await imageNamed('b')];
  await push(store, APP, a, { tags: ['1'] });
  await push(store, OTHER, b, { tags: ['1'] });
  const staged = bytesOf('waits');
  await stage(store, OTHER, staged);
  for (const _ of ['before', 'after']) {
    t.is(store.registry.manifest(OTHER, a.digest), undefined);
    t.is(store.registry.blob(OTHER, layerOf(a)), undefined);
    t.is(store.registry.blob(APP, layerOf(b)), undefined);
    t.is(store.registry.blob(APP, digestOf(staged)), undefined);
    t.is(store.registry.blob(OTHER, digestOf(staged))?.size, staged.length);
    t.deepEqual(store.registry.repositoriesWith(layerOf(a)), [APP]);
    t.deepEqual(store.registry.repositoriesWith(digestOf(staged)), [OTHER]);
    t.is(store.registry.blob(APP, digestOf(bytesOf('never there'))), undefined);
    store = await reopened(t, store);
  }
  await store.registry.uploads.mount(OTHER, layerOf(a), 'ada');
  t.is(store.registry.blob(OTHER, layerOf(a))?.size, a.blobs[1]?.length);
  t.deepEqual(store.registry.repositoriesWith(layerOf(a)).sort(), [APP, OTHER]);
});

test('removing a tag leaves the manifest; removing the digest removes each of its tags, and the image stays', async (t) => {
  const store = await temporaryStore(t);
  const [a, b] = [await imageNamed('a'), await imageNamed('b')];
  await push(store, APP, a, { tags: ['1', '2', '3'] });
  await push(store, APP, b, { tags: ['other'] });
  await push(store, OTHER, a, { tags: ['1'] });
  t.deepEqual(await store.registry.remove(APP, '1'), [`${APP}:1`]);
  t.is(store.registry.manifest(APP, '1'), undefined);
  t.truthy(store.registry.manifest(APP, a.digest));
  await rejection(t, 'REFERENCE_NOT_FOUND', store.registry.remove(APP, '1'));
  const options = { actor: 'ada', via: 'registry', requestId: 'r-2' };
  const removed = await store.registry.remove(APP, a.digest, options);
  t.deepEqual(removed.toSorted(), [`${APP}:2`, `${APP}:3`, `${APP}@${a.digest}`]);
  const last: StoredEvent[] = [];
  for await (const event of store.log.read({ from: store.log.head.seq - 2 })) last.push(event);
  t.deepEqual(
    last.map(({ type, actor, via, requestId, transaction }) => ({ type, actor, via, requestId, ...transaction })),
    last.map(() => ({ type: 'ReferenceRemoved', ...options, first: store.log.head.seq - 2, count: 3 })) as never,
  );
  t.deepEqual(store.registry.tags(APP), ['other']);
  t.is(store.registry.manifest(APP, a.digest), undefined);
  t.is(store.registry.blob(APP, layerOf(a)), undefined);
  t.is(store.registry.blob(OTHER, layerOf(a))?.size, a.blobs[1]?.length);
  t.true(store.map().has(a.id));
  await rejection(t, 'REFERENCE_NOT_FOUND', store.registry.remove(APP, a.digest));
  await store.registry.remove(OTHER, a.digest);
  t.deepEqual(store.registry.repositories(), [APP]);
  t.true(store.map().has(a.id));
});

test('a manifest that an index names cannot be removed before the index', async (t) => {
  const store = await temporaryStore(t);
  const child = await imageNamed('a');
  const inner = indexOf([child]);
  const outer = indexOf([inner]);
  for (const each of [child, inner, outer]) await push(store, APP, each, { tags: [each.digest.slice(7, 19)] });
  const { data } = await rejection(t, 'CONTENT_IN_USE', store.registry.remove(APP, child.digest));
  t.is(data.index, inner.digest);
  await rejection(t, 'CONTENT_IN_USE', store.registry.remove(APP, inner.digest));
  // Its tags may go.
  await store.registry.remove(APP, child.digest.slice(7, 19));
  for (const each of [outer, inner, child]) await store.registry.remove(APP, each.digest);
  t.deepEqual(store.registry.repositories(), []);
});

test('a signature stays when its subject is removed, and is gone when it is itself', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  const signature = signatureOf(image);
  await push(store, APP, image, { tags: ['1'] });
  await push(store, APP, signature);
  await store.registry.remove(APP, image.digest);
  t.is(store.registry.referrers(APP, image.digest).length, 1);
  await store.registry.remove(APP, signature.digest);
  t.deepEqual(store.registry.referrers(APP, image.digest), []);
  t.deepEqual(store.registry.repositories(), []);
});

for (const archive of ['docker25-all.tar', 'docker20-all.tar', 'crane-app.tar', 'oci-all.tar', 'oci-zstd.tar']) {
  test(`images of ${archive} are pullable, by tag and by the digest that the tag gives`, async (t) => {
    const loaded = await temporaryStore(t);
    await loaded.load(archivePath(archive));
    const store = await reopened(t, loaded);
    let pulled = 0;
    for (const { reference, image } of store.referenceEntries()) {
      const { domain, path, tag } = parseReference(reference);
      const [before, now] = [loaded, store].map(() => store.registry.manifest(`${domain}/${path}`, tag ?? ''));
      t.deepEqual(before, now);
      if (now === undefined) {
        t.fail(reference);
        continue;
      }
      pulled += 1;
      t.is(digestOf(now.bytes), now.descriptor.digest);
      t.deepEqual(store.registry.manifest(`${domain}/${path}`, now.name)?.bytes, now.bytes);
      const { config, layers } = JSON.parse(new TextDecoder().decode(now.bytes)) as {
        config?: { digest: ImageId };
        layers?: { digest: Digest; size: number }[];
      };
      if (config === undefined || layers === undefined) continue;
      t.is(config.digest, image as ImageId);
      for (const { digest, size } of [...layers, { ...config, size: undefined }]) {
        const blob = store.registry.blob(`${domain}/${path}`, digest);
        const bytes = blob && new Uint8Array(await buffer(blob.read()));
        t.is(bytes && digestOf(bytes), digest);
        t.is(bytes?.length, size ?? bytes?.length);
      }
    }
    t.true(pulled > 0);
  });
}

test('an image that came without a manifest is pushed back as it was pulled, and is removed by its digest', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker20-all.tar'));
  const [{ reference } = { reference: '' }] = store.referenceEntries();
  const { domain, path, tag = '' } = parseReference(reference);
  const repository = `${domain}/${path}`;
  const pulled = store.registry.manifest(repository, tag);
  if (pulled === undefined) return t.fail();
  const { mediaType } = pulled.descriptor;
  await store.registry.push({ repository, mediaType, bytes: pulled.bytes, tags: [tag] });
  t.deepEqual(store.registry.manifest(repository, tag), pulled);
  t.deepEqual(store.registry.manifest(repository, pulled.name), pulled);
  const removed = await store.registry.remove(repository, pulled.name);
  t.true(removed.includes(reference));
  t.is(store.registry.manifest(repository, tag), undefined);
});

test('more than MAX_KEPT_REPOSITORIES repositories are served', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  await push(store, APP, image, { tags: ['1'] });
  const names = Array.from({ length: MAX_KEPT_REPOSITORIES + 1 }, (_, at) => `docker.io/many/r${at}`);
  await Promise.all(names.map((name) => store.tag({ source: `${APP}:1`, target: `${name}:1` })));
  for (const _ of ['walks all', 'walks the first again']) {
    for (const name of names) if (store.registry.blob(name, layerOf(image)) === undefined) t.fail(name);
  }
  // The walk of each follows what changes.
  await store.registry.remove(names[0] as string, '1');
  t.is(store.registry.blob(names[0] as string, layerOf(image)), undefined);
  t.is(store.registry.repositories().length, MAX_KEPT_REPOSITORIES + 1);
});

test('a blob of an unnamed repository is looked for in MAX_SEARCHED_REPOSITORIES of them', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a');
  await push(store, 'docker.io/zz/last', image, { tags: ['1'] });
  const names = Array.from({ length: MAX_SEARCHED_REPOSITORIES }, (_, at) => `docker.io/many/r${at}`);
  await Promise.all(names.slice(1).map((name) => store.tag({ source: 'zz/last:1', target: `${name}:1` })));
  t.deepEqual(store.registry.repositoriesWith(layerOf(image)).length, MAX_SEARCHED_REPOSITORIES);
  await store.tag({ source: 'zz/last:1', target: `${names[0]}:1` });
  const found = store.registry.repositoriesWith(layerOf(image));
  t.is(found.length, MAX_SEARCHED_REPOSITORIES);
  t.false(found.includes('docker.io/zz/last'));
});
