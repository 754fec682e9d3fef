import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import test from 'ava';
import { MAX_PARALLEL_BLOBS, MAX_WAITING_BLOB_BYTES } from '../../src/limits.js';
import { digestOf } from '../../src/model/digest.js';
import { copyImage } from '../../src/registry-client/copy.js';
import { Pull } from '../../src/registry-client/pull.js';
import { pushImage } from '../../src/registry-client/push.js';
import type { RegistryOptions } from '../../src/registry-client/registry-session.js';
import type { EventStore } from '../../src/store/event-store.js';
import { temporaryStore } from '../store/temporary-store.js';
import { fail, fakeRegistry } from '../support/fake-registry.js';
import { addImage, addIndex, addSignature, OCI_INDEX, OCI_MANIFEST } from '../support/registry-images.js';
import { rejection } from '../support/rejection.js';

const quick: RegistryOptions = { wait: async () => undefined };

type BeginOptions = Parameters<typeof Pull.begin>[1];

async function pulled(store: EventStore, name: string, options: BeginOptions = {}): ReturnType<Pull['into']> {
  const pull = await Pull.begin(name, { ...quick, ...options });
  const { platform } = options;
  return pull.into(store, { platform }).finally(() => pull.close());
}

test('an index comes with all its platforms in one transaction, and is pushed with the same digests', async (t) => {
  const [registry, other] = [await fakeRegistry(t), await fakeRegistry(t)];
  const amd64 = await addImage(registry, 'shop/app:a', ['base', 'amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['base', 'arm64'], 'arm64');
  const index = addIndex(registry, 'shop/app:1', { amd64, arm64 });
  const store = await temporaryStore(t);
  const result = await pulled(store, `${registry.host}/shop/app:1`);
  t.like(result, { reference: `${registry.host}/shop/app:1`, digest: index, layersAdded: 3, notices: [] });
  for await (const { transaction, via } of store.log.read()) t.deepEqual([transaction.first, via], [1, 'pull']);
  t.is(store.referenceEntries()[0]?.target?.digest, index);
  const target = `${other.host}/copy/app:2`;
  const sent = await pushImage(store, { name: `${registry.host}/shop/app:1`, target }, quick);
  t.like(sent, { digest: index, mediaType: OCI_INDEX, blobs: { uploaded: 5, mounted: 0, present: 0 } });
  t.deepEqual(other.manifests.get('copy/app/2'), registry.manifests.get('shop/app/1'));
  t.deepEqual([...other.blobs.keys()].sort(), [...registry.blobs.keys()].sort());
  const puts = other.requests('PUT').filter((request) => request.includes('/manifests/'));
  t.is(puts.at(-1), 'PUT /v2/copy/app/manifests/2', 'the name is last');
  t.is(puts.length, 3);
});

test('what is pulled again is no event, and what is pushed again sends no blob', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one', 'two']);
  const store = await temporaryStore(t);
  const name = `${registry.host}/shop/app:1`;
  await pulled(store, name);
  const { seq } = store.log.head;
  await pulled(store, name);
  t.is(store.log.head.seq, seq);
  t.like(await pushImage(store, { name, target: name }, quick), { bytes: 0, blobs: { uploaded: 0, present: 3 } });
});

test('layers come in parallel, small and large, and leave no file', async (t) => {
  const registry = await fakeRegistry(t);
  const large = Array.from({ length: 4 }, () => randomBytes(MAX_WAITING_BLOB_BYTES + 300_000));
  await addImage(registry, 'shop/app:1', [...large, 'small', 'smaller']);
  let [open, most] = [0, 0];
  registry.intercept = async ({ method, url }, response) => {
    if (method !== 'GET' || url?.includes('/blobs/') !== true) return false;
    most = Math.max(most, ++open);
    response.once('close', () => open--);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  };
  const store = await temporaryStore(t);
  const { images, layersAdded } = await pulled(store, `${registry.host}/shop/app:1`);
  t.is(images.length, 1);
  t.is(layersAdded, 6);
  t.is(most, MAX_PARALLEL_BLOBS);
  t.deepEqual(
    (await readdir(store.directory)).filter((name) => name.includes('tmp') || name.startsWith('.')),
    [],
  );
});

test('a pull of one platform downloads it alone and says what it left out', async (t) => {
  const registry = await fakeRegistry(t);
  const amd64 = await addImage(registry, 'shop/app:a', ['amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['arm64'], 'arm64');
  const index = addIndex(registry, 'shop/app:1', { amd64, arm64 });
  const store = await temporaryStore(t);
  const name = `${registry.host}/shop/app:1`;
  const result = await pulled(store, name, { platform: ['linux/arm64'] });
  t.is(result.digest, index);
  t.deepEqual(result.notices, ['not pulled: linux/amd64']);
  t.deepEqual(
    result.images.map(({ id }) => id as string),
    [arm64.config.digest],
  );
  t.false(registry.seen.some(({ url }) => url.includes(amd64.layers[0]?.digest ?? '')));
  await rejection(t, 'PLATFORM_NOT_FOUND', pulled(store, name, { platform: ['linux/s390x'] }));
});

test('referrers come, go and are copied when asked for; a push says when they stay', async (t) => {
  const [registry, other] = [await fakeRegistry(t), await fakeRegistry(t)];
  other.hasReferrers = false;
  const { manifest } = await addImage(registry, 'shop/app:1', ['one']);
  const signature = addSignature(registry, 'shop/app', manifest);
  const name = `${registry.host}/shop/app:1`;
  const store = await temporaryStore(t);
  await pulled(store, name);
  t.is(store.artifacts().length, 0);
  await pulled(store, name, { referrers: true });
  t.deepEqual(
    store.artifacts().map(({ artifact }) => artifact.digest),
    [signature],
  );
  const target = `${other.host}/shop/app:1`;
  const without = await pushImage(store, { name, target }, quick);
  t.regex(without.notices.join(), /not pushed: 1 artifacts about/);
  t.false(other.manifests.has(`shop/app/${signature}`));
  t.is((await pushImage(store, { name, target }, { ...quick, referrers: true })).referrers, 1);
  t.true(other.manifests.has(`shop/app/${manifest.digest.replace(':', '-')}`), 'the list of a registry without one');
  const third = await fakeRegistry(t);
  const copied = await copyImage(name, `${third.host}/shop/app:1`, { ...quick, referrers: true });
  t.is(copied.referrers, 1);
  t.deepEqual(third.manifests.get(`shop/app/${signature}`), registry.manifests.get(`shop/app/${signature}`));
});

test('a copy keeps digests, mounts within a registry, and takes one manifest for a platform', async (t) => {
  const [registry, other] = [await fakeRegistry(t), await fakeRegistry(t)];
  const amd64 = await addImage(registry, 'shop/app:a', ['amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['arm64'], 'arm64');
  const index = addIndex(registry, 'shop/app:1', { amd64, arm64 });
  const name = `${registry.host}/shop/app:1`;
  t.like(await copyImage(name, `${other.host}/x/y:1`, quick), { digest: index, blobs: { uploaded: 4 } });
  t.deepEqual(other.manifests.get('x/y/1'), registry.manifests.get('shop/app/1'));
  registry.intercept = ({ method, url = '' }, response) => {
    if (method !== 'HEAD' || !url.startsWith('/v2/prod/app/blobs/')) return false;
    fail(response, 404, 'BLOB_UNKNOWN');
    return true;
  };
  t.like(await copyImage(name, `${registry.host}/prod/app:1`, quick), { digest: index, blobs: { mounted: 4 } });
  t.true(registry.requests('POST').every((request) => request.endsWith('from=shop%2Fapp')));
  const one = await copyImage(name, `${other.host}/x/arm:1`, { ...quick, platform: 'linux/arm64' });
  t.like(one, { digest: arm64.manifest.digest, mediaType: OCI_MANIFEST });
  const single = `${registry.host}/shop/app:a`;
  await rejection(
    t,
    'PLATFORM_NOT_FOUND',
    copyImage(single, `${other.host}/x/z:1`, { ...quick, platform: 'linux/arm64' }),
  );
  const same = await copyImage(single, `${other.host}/x/z:1`, { ...quick, platform: 'linux/amd64' });
  t.is(same.digest, amd64.manifest.digest);
});

test('a pull that fails in the middle changes nothing and leaves nothing', async (t) => {
  const registry = await fakeRegistry(t);
  const files = Array.from({ length: 5 }, () => randomBytes(MAX_WAITING_BLOB_BYTES + 100_000));
  const { layers } = await addImage(registry, 'shop/app:1', files);
  const bad = layers[3]?.digest ?? '';
  registry.blobs.set(bad, Buffer.from(registry.blobs.get(bad) ?? '').fill(0, 1_000_000));
  const store = await temporaryStore(t);
  await rejection(t, 'BLOB_MISMATCH', pulled(store, `${registry.host}/shop/app:1`));
  registry.blobs.delete(bad);
  await rejection(t, 'REGISTRY_NOT_FOUND', pulled(store, `${registry.host}/shop/app:1`));
  t.is(store.log.head.seq, 0);
  t.is(store.stats().blobs, 0);
});

test('an index that names what is not there comes without it, with a notice', async (t) => {
  const registry = await fakeRegistry(t);
  const amd64 = await addImage(registry, 'shop/app:a', ['amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['arm64'], 'arm64');
  addIndex(registry, 'shop/app:1', { amd64, arm64 });
  registry.manifests.delete(`shop/app/${arm64.manifest.digest}`);
  const store = await temporaryStore(t);
  const { images, notices } = await pulled(store, `${registry.host}/shop/app:1`);
  t.is(images.length, 1);
  t.regex(notices.join(), new RegExp(`skipped ${arm64.manifest.digest}: an index names it`));
});

test('an index nested too deeply is refused', async (t) => {
  const registry = await fakeRegistry(t);
  const image = await addImage(registry, 'shop/app:a', ['amd64']);
  let entry = image.manifest;
  for (let depth = 0; depth < 5; depth++) {
    const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] };
    const digest = registry.addManifest('shop/app', 'deep', document);
    entry = { mediaType: OCI_INDEX, digest, size: JSON.stringify(document).length };
  }
  const store = await temporaryStore(t);
  await rejection(t, 'ARCHIVE_LIMIT_EXCEEDED', pulled(store, `${registry.host}/shop/app:deep`));
});

test('a push names one thing, and a target by digest is that thing', async (t) => {
  const registry = await fakeRegistry(t);
  const { manifest } = await addImage(registry, 'shop/app:1', ['one']);
  await addImage(registry, 'shop/app:2', ['two']);
  const store = await temporaryStore(t);
  const name = `${registry.host}/shop/app`;
  await pulled(store, `${name}:1`);
  await pulled(store, `${name}:2`);
  const target = `${registry.host}/x/y`;
  await rejection(t, 'REFERENCE_INVALID', pushImage(store, { name, target }, quick));
  await rejection(t, 'IMAGE_NOT_FOUND', pushImage(store, { name: 'absent:1', target }, quick));
  const other = { name: `${name}:1`, target: `${target}@${digestOf(Buffer.from('x'))}` };
  await rejection(t, 'REFERENCE_INVALID', pushImage(store, other, quick));
  const own = { name: `${name}:1`, target: `${target}@${manifest.digest}` };
  t.is((await pushImage(store, own, quick)).digest, manifest.digest);
  t.deepEqual(registry.manifests.has('x/y/latest'), false);
  const foreign = { ...quick, mountFrom: ['other.example.com/base'] };
  await rejection(t, 'REFERENCE_INVALID', pushImage(store, own, foreign));
  t.is((await pushImage(store, { name: manifest.digest, target }, quick)).digest, manifest.digest);
  t.true(registry.manifests.has('x/y/latest'));
});

test('a push that fails does not set the name', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one', 'two', 'three', 'four', 'five', 'six']);
  const store = await temporaryStore(t);
  const name = `${registry.host}/shop/app:1`;
  await pulled(store, name);
  const other = await fakeRegistry(t);
  let puts = 0;
  other.intercept = (request, response) => {
    if (request.method !== 'PUT' || ++puts < 3) return false;
    fail(response, 413, 'SIZE_INVALID');
    return true;
  };
  const target = `${other.host}/x/y:1`;
  const error = await rejection(t, 'REGISTRY_REFUSED', pushImage(store, { name, target }, quick));
  t.regex(error.message, /answered 413 \(SIZE_INVALID/);
  t.is(other.manifests.size, 0);
});
