import { buffer } from 'node:stream/consumers';
import test from 'ava';
import { MAX_KEPT_PAST_REGISTRIES } from '../../../src/limits.js';
import { type Digest, digestOf } from '../../../src/model/digest.js';
import { parseReference } from '../../../src/model/reference.js';
import type { RegistryReads } from '../../../src/store/registry-store.js';
import {
  imageNamed,
  indexOf,
  push,
  type PushableImage,
  sha512Of,
  signatureOf,
  stage,
} from '../../support/pushed-images.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { archivePath } from '../fixture-archives.js';
import { reopened, temporaryStore } from '../temporary-store.js';

const APP = 'docker.io/shop/app';

const layerOf = ({ blobs }: PushableImage): Digest => digestOf(blobs[1] as Uint8Array);

async function bytesIn(reads: RegistryReads, digest: Digest): Promise<Uint8Array | undefined> {
  const blob = reads.blob(APP, digest);
  return blob && new Uint8Array(await buffer(blob.read()));
}

test('a moment has the tags, manifests, blobs and referrers that were there then', async (t) => {
  const store = await temporaryStore(t);
  const [a, b] = [await imageNamed('a'), await imageNamed('b')];
  const first = await push(store, APP, a, { tags: ['prod'] });
  const signed = await push(store, APP, signatureOf(a));
  const second = await push(store, APP, b, { tags: ['prod', 'next'] });
  await store.registry.remove(APP, a.digest);
  const staged = new TextEncoder().encode('staged only');
  await stage(store, APP, staged);
  for (const opened of [store, await reopened(t, store)].slice(1)) {
    const empty = await opened.registry.at(0);
    t.deepEqual(empty.repositories(), []);
    t.is(empty.tags(APP), undefined);
    const past = await opened.registry.at(first.seq);
    t.is(past.seq, first.seq);
    t.deepEqual(past.tags(APP), ['prod']);
    t.deepEqual(past.manifest(APP, 'prod')?.bytes, a.bytes);
    t.deepEqual(past.manifest(APP, a.digest)?.bytes, a.bytes);
    t.is(past.manifest(APP, b.digest), undefined);
    t.is(past.blob(APP, layerOf(b)), undefined);
    t.is(past.blob(APP, digestOf(staged)), undefined);
    t.deepEqual(past.repositoriesWith(layerOf(a)), [APP]);
    for (const blob of a.blobs) t.deepEqual(await bytesIn(past, digestOf(blob)), blob);
    t.deepEqual(past.referrers(APP, a.digest), []);
    t.is((await opened.registry.at(signed.seq)).referrers(APP, a.digest).length, 1);
    const later = await opened.registry.at(second.seq);
    t.deepEqual(later.tags(APP), ['next', 'prod']);
    t.deepEqual(later.manifest(APP, 'prod')?.bytes, b.bytes);
    t.deepEqual(later.manifest(APP, a.digest)?.bytes, a.bytes);
    t.is(opened.registry.manifest(APP, a.digest), undefined);
  }
});

test('an index of the past leads to the children that were there then', async (t) => {
  const store = await temporaryStore(t);
  const [amd64, arm64] = [await imageNamed('a'), await imageNamed('b', { architecture: 'arm64' })];
  await push(store, APP, amd64);
  const { seq } = await push(store, APP, indexOf([amd64, arm64]), { tags: ['all'] });
  await push(store, APP, arm64);
  const past = await store.registry.at(seq);
  t.is(past.manifest(APP, arm64.digest), undefined);
  t.is(past.blob(APP, layerOf(arm64)), undefined);
  t.deepEqual(past.manifest(APP, amd64.digest)?.bytes, amd64.bytes);
  t.deepEqual((await store.registry.at('now')).manifest(APP, arm64.digest)?.bytes, arm64.bytes);
});

test('a moment is a time too; one that never was is refused', async (t) => {
  let time = Date.parse('2026-11-24T09:00:00Z');
  const store = await temporaryStore(t, { now: () => time });
  const [a, b] = [await imageNamed('a'), await imageNamed('b')];
  await push(store, APP, a, { tags: ['prod'] });
  time += 2 * 60 * 60 * 1_000;
  await push(store, APP, b, { tags: ['prod'] });
  for (const when of ['2026-11-24T10:00Z', '90m', new Date('2026-11-24T10:59:59Z')]) {
    t.deepEqual((await store.registry.at(when)).manifest(APP, 'prod')?.bytes, a.bytes, String(when));
  }
  for (const when of ['2026-11-24', 'now', new Date(time)]) {
    t.deepEqual((await store.registry.at(when)).manifest(APP, 'prod')?.bytes, b.bytes, String(when));
  }
  await rejection(t, 'TIME_OUT_OF_RANGE', store.registry.at(store.log.head.seq + 1));
  await rejection(t, 'TIME_OUT_OF_RANGE', store.registry.at('2027-01-01'));
  await rejection(t, 'TIME_INVALID', store.registry.at('some day'));
});

test('content named by SHA-512 has that name in the past', async (t) => {
  const store = await temporaryStore(t);
  const image = await imageNamed('a', { nameOf: sha512Of });
  const name = sha512Of(image.bytes);
  for (const blob of image.blobs) await stage(store, APP, blob, sha512Of(blob));
  const { mediaType, bytes } = image;
  const { seq } = await store.registry.push({ repository: APP, mediaType, bytes, name, tags: ['1'] });
  await store.registry.remove(APP, name);
  const past = await (await reopened(t, store)).registry.at(seq);
  t.deepEqual(past.manifest(APP, name)?.bytes, bytes);
  t.is(past.manifest(APP, '1')?.name, name);
  for (const blob of image.blobs) t.is(past.blob(APP, sha512Of(blob))?.size, blob.length);
});

for (const archive of ['docker20-all.tar', 'docker25-all.tar']) {
  test(`images of ${archive} are what they were after their names moved`, async (t) => {
    const store = await temporaryStore(t);
    await store.load(archivePath(archive));
    const { seq } = store.log.head;
    const entries = store.referenceEntries();
    const found = (reads: RegistryReads): unknown =>
      entries.map(({ reference }) => {
        const { domain, path, tag = '' } = parseReference(reference);
        return reads.manifest(`${domain}/${path}`, tag)?.bytes;
      });
    const before = found(store.registry);
    for (const { reference } of entries) await store.untag(reference);
    t.deepEqual(found(await store.registry.at(seq)), before);
    t.deepEqual(store.registry.repositories(), []);
  });
}

test('what was erased is refused with who and why, and takes nothing else of its repository with it', async (t) => {
  const store = await temporaryStore(t);
  const [kept, secret] = [await imageNamed('kept'), await imageNamed('secret')];
  await push(store, APP, kept, { tags: ['kept'] });
  const { seq } = await push(store, APP, secret, { tags: ['secret'] });
  await store.delete(secret.id);
  await store.erase(secret.id, 'leaked', { actor: 'ana' });
  const again = await reopened(t, store);
  const past = await again.registry.at(seq);
  t.deepEqual(past.tags(APP), ['kept', 'secret']);
  t.deepEqual(past.manifest(APP, 'kept')?.bytes, kept.bytes);
  for (const blob of kept.blobs) t.deepEqual(await bytesIn(past, digestOf(blob)), blob);
  storeError(t, 'CONTENT_ERASED', () => past.blob(APP, secret.id));
  t.is(past.blob(APP, layerOf(secret)), undefined);
});

test('what was erased of an archive takes nothing else of its repository with it', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker20-all.tar'));
  const kept = await imageNamed('kept');
  const [entry] = store.referenceEntries();
  const { domain, path, tag = '' } = parseReference(entry?.reference ?? '');
  const repository = `${domain}/${path}`;
  const { seq } = await push(store, repository, kept, { tags: ['kept'] });
  for (const id of [...store.map().keys()]) if (id !== kept.id) await store.delete(id);
  if (entry?.image === undefined) return t.fail();
  await store.erase(entry.image, 'leaked', { actor: 'ana' });
  const past = await store.registry.at(seq);
  storeError(t, 'CONTENT_ERASED', () => past.manifest(repository, tag));
  t.deepEqual(past.manifest(repository, 'kept')?.bytes, kept.bytes);
  t.deepEqual(past.manifest(repository, kept.digest)?.bytes, kept.bytes);
  for (const blob of kept.blobs) t.is(past.blob(repository, digestOf(blob))?.size, blob.length);
});

test('an erased artifact is refused by its tag and by its digest, and hides no other', async (t) => {
  const store = await temporaryStore(t);
  const [kept, secret] = [await imageNamed('kept'), signatureOf(await imageNamed('away'))];
  await push(store, APP, kept, { tags: ['kept'] });
  const { seq } = await push(store, APP, secret, { tags: ['secret'] });
  await store.registry.remove(APP, secret.digest);
  await store.deleteArtifact(secret.digest);
  t.deepEqual((await store.registry.at(seq)).manifest(APP, 'secret')?.bytes, secret.bytes);
  await store.erase(secret.digest, 'leaked');
  const past = await store.registry.at(seq);
  for (const name of ['secret', secret.digest]) storeError(t, 'CONTENT_ERASED', () => past.manifest(APP, name));
  t.deepEqual(past.manifest(APP, kept.digest)?.bytes, kept.bytes);
  t.is(store.registry.manifest(APP, secret.digest), undefined);
  const { digest } = await push(store, APP, secret, { tags: ['secret'] });
  t.deepEqual(store.registry.manifest(APP, digest)?.bytes, secret.bytes);
  t.deepEqual((await store.registry.at(seq)).manifest(APP, 'secret')?.bytes, secret.bytes);
});

test('more than MAX_KEPT_PAST_REGISTRIES moments are read, and one many times at once', async (t) => {
  const store = await temporaryStore(t);
  const seqs: number[] = [];
  for (let count = 0; count <= MAX_KEPT_PAST_REGISTRIES; count++) {
    seqs.push((await push(store, APP, await imageNamed(`image ${count}`), { tags: ['prod'] })).seq);
  }
  const images = await Promise.all(seqs.map((_, count) => imageNamed(`image ${count}`)));
  for (const _ of ['first', 'again']) {
    const pasts = await Promise.all([...seqs, ...seqs].map((seq) => store.registry.at(seq)));
    t.deepEqual(
      pasts.map((past) => past.manifest(APP, 'prod')?.descriptor.digest),
      [...images, ...images].map(({ digest }) => digest),
    );
  }
  const past = await store.registry.at(seqs[0] as number);
  await store.close();
  storeError(t, 'STORE_CLOSED', () => past.tags(APP));
  await rejection(t, 'STORE_CLOSED', async () => store.registry.at(1));
});
