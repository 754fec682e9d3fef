import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChainId, Digest } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { filesWith, newSecret } from '../../support/files-with.js';
import { idNamed, idOf, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { tarOf } from '../../support/tar-of.js';
import { eventsOf } from '../../support/test-store.js';
import { archivePath } from '../fixture-archives.js';
import { reopened, temporaryStore } from '../temporary-store.js';

const TIME = Date.parse('2026-01-31T12:00:00Z');
const a = idNamed('a');

/** Registers a layer that nobody holds after the store is opened again; resolves with the store, its chain and its blob. */
async function unusedLayer(t: ExecutionContext, parent?: string): Promise<[EventStore, ChainId, Digest]> {
  const store = await temporaryStore(t);
  const below = parent === undefined ? undefined : await store.layers.register(tarOf(parent));
  const { chainId } = await store.layers.register(tarOf('unused'), below?.chainId);
  const again = await reopened(t, store);
  let blob: Digest | undefined;
  for (const event of await eventsOf(again)) {
    if (event.type === 'LayerAdded' && event.chainId === chainId) blob = event.blob.digest;
  }
  return [again, chainId, blob as Digest];
}

const blobPath = (store: EventStore, blob: string): string =>
  join(store.directory, 'blobs', 'sha256', blob.slice('sha256:'.length));

test('the bytes of an erased config are in no file of the store, and everybody is told when, by whom and why', async (t) => {
  const store = await temporaryStore(t, { now: () => TIME });
  const secret = newSecret();
  const id = await store.create(imageConfig(secret));
  await store.create(imageConfig('other'));
  await store.delete(id);
  await store.snapshot();
  t.not((await filesWith(store.directory, secret)).length, 0);
  const past = await store.at(1);
  const erased = await store.erase(id, 'a password', { actor: 'ana', requestId: 'T-7' });
  t.deepEqual(await filesWith(store.directory, secret), []);
  t.deepEqual(erased, { digest: id, size: imageConfig(secret).length, layers: [], damagedLogs: [], seq: 4 });
  const facts = { digest: id, size: erased.size, seq: 4, time: TIME, actor: 'ana', reason: 'a password' };
  const again = await reopened(t, store);
  t.deepEqual([...again.erasures()], [[id, facts]]);
  t.deepEqual([...(await again.at(3)).erasures()], []);
  for (const read of [
    async () => (await again.at(1)).get(id),
    async () => [...(await again.at(2)).map().values()],
    async () => again.backend.get(id),
  ]) {
    const error = await rejection(t, 'CONTENT_ERASED', read);
    t.deepEqual(error.data, facts);
    t.is(error.message, `${id} was erased at 2026-01-31T12:00:00.000Z by ana (event 4): a password`);
  }
  storeError(t, 'STORE_CLOSED', () => past.get(id));
  storeError(t, 'IMAGE_NOT_FOUND', () => again.get(id));
  const history: string[] = [];
  for await (const { type, requestId } of again.history(id)) history.push(`${type} ${requestId ?? ''}`.trim());
  t.deepEqual(history, ['ImageCreated', 'ImageDeleted', 'ContentErased T-7']);
  t.deepEqual(await again.verify(), []);
});

test('what comes again after an erasure is readable again, now and in the past, and the log tells both', async (t) => {
  const store = await temporaryStore(t);
  await store.delete(await store.create(imageConfig('a')));
  await store.erase(a, 'first');
  await store.create(imageConfig('a'));
  t.is(store.get(a).id(), a);
  t.is((await store.at(1)).get(a).id(), a);
  t.is(store.erasures().size, 0);
  t.is((await store.at(3)).erasures().size, 1);
  await store.delete(a);
  await store.erase(a, 'second');
  t.is(store.erasures().get(a)?.reason, 'second');
  const types = (await eventsOf(store)).map(({ type }) => type);
  t.deepEqual(types, [
    'ImageCreated',
    'ImageDeleted',
    'ContentErased',
    'ImageCreated',
    'ImageDeleted',
    'ContentErased',
  ]);
});

test('erase refuses by name', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  await rejection(t, 'DIGEST_INVALID', store.erase('sha256:12', 'r'));
  await rejection(t, 'CONTENT_NOT_FOUND', store.erase(idNamed('nobody'), 'r'));
  await rejection(t, 'ENVELOPE_INVALID', store.erase(a, ' '));
  await t.throwsAsync(store.erase(a, undefined as never), { instanceOf: TypeError });
  const error = await rejection(t, 'CONTENT_IN_USE', store.erase(a, 'r'));
  t.deepEqual(error.data, { digest: a, images: [a], references: [], layers: [], artifacts: [] });
  await store.delete(a);
  await store.erase(a, 'r');
  await rejection(t, 'CONTENT_ERASED', store.erase(a, 'r'));
  t.is(store.log.head.seq, 3);
});

test('manifests, indexes and blobs are in use as long as an image, a reference or a layer needs them', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'));
  const [entry] = store.referenceEntries();
  const index = entry?.target?.digest as Digest;
  const events = await eventsOf(store);
  const added = events.flatMap((event) => (event.type === 'ManifestAdded' ? [event] : []));
  const [manifest] = added.map((event) => event.manifest.digest);
  const [blob] = added.flatMap((event) => event.layers.map(({ digest }) => digest));
  const usersOf = async (digest: Digest | undefined): Promise<unknown> => {
    const { data } = await rejection(t, 'CONTENT_IN_USE', store.erase(digest as Digest, 'r'));
    return [data['images'], data['references'], data['layers']].map((users) => (users as string[]).length > 0);
  };
  t.deepEqual(await usersOf(index), [false, true, false]);
  t.deepEqual(await usersOf(manifest), [true, false, false]);
  t.deepEqual(await usersOf(blob), [true, false, true]);
  await store.untag(entry?.reference as string);
  await store.erase(index, 'r');
  for (const id of [...store.map().keys()]) await store.delete(id);
  await store.erase(manifest as Digest, 'r');
  await rejection(t, 'CONTENT_NOT_FOUND', store.erase(blob as Digest, 'r'));
  // The whole archive comes again, and all that was erased with it.
  await store.load(archivePath('oci-multi-platform.tar'));
  t.is(store.erasures().size, 0);
  for await (const _ of store.save(entry?.reference as string, { format: 'oci' }));
  t.deepEqual(await store.verify(), []);
});

test('the blob of a layer that nothing uses goes with the layer, and what only that one stood on', async (t) => {
  const [store, chainId, blob] = await unusedLayer(t, 'below');
  const held = store.layers.get(chainId);
  const inUse = await rejection(t, 'CONTENT_IN_USE', store.erase(blob, 'r'));
  t.deepEqual(inUse.data['layers'], [chainId]);
  const again = await reopened(t, store);
  t.is(held.chainId, chainId);
  const { layers } = await again.erase(blob, 'unused');
  t.deepEqual(
    layers.map((layer) => layer.chainId === chainId),
    [true, false],
  );
  t.is(again.layers.map().size, 0);
  t.false(existsSync(blobPath(again, blob)));
  await rejection(t, 'CONTENT_ERASED', again.erase(blob, 'r'));
  await again.layers.register(tarOf('unused'));
  t.is(again.erasures().size, 0);
  t.deepEqual(await again.verify(), []);
});

test('a blob that a save in progress reads is not erased, and is gone after it', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-untagged.tar'));
  const [id] = store.map().keys();
  const [layer] = (await eventsOf(store)).flatMap((event) => (event.type === 'LayerAdded' ? [event] : []));
  const blob = layer?.blob.digest as Digest;
  const saving = store.save(id as string);
  await store.delete(id as never);
  t.true(existsSync(blobPath(store, blob)));
  await rejection(t, 'CONTENT_IN_USE', store.erase(blob, 'r'));
  for await (const _ of saving);
  const again = await reopened(t, store);
  t.false(existsSync(blobPath(again, blob)));
});

test('in one turn, commands and erasures come in the order in which they were called', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  const outcomes = await Promise.allSettled([
    store.erase(a, 'too early'),
    store.delete(a),
    store.erase(a, 'in time'),
    store.erase(a, 'too late'),
    store.create(imageConfig('a')),
    store.erase(a, 'too late again'),
  ]);
  const codes = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'done' : outcome.reason.code));
  t.deepEqual(codes, ['CONTENT_IN_USE', 'done', 'done', 'CONTENT_ERASED', 'done', 'CONTENT_IN_USE']);
  t.is(store.get(a).id(), a);
  const again = await reopened(t, store);
  t.is(again.get(a).id(), a);
});

test('loads and erasures that race leave nothing that is needed erased', async (t) => {
  const store = await temporaryStore(t);
  const archive = archivePath('oci-multi-platform.tar');
  await store.load(archive);
  const digests = (await eventsOf(store)).flatMap((event) => {
    if (event.type === 'ImageCreated') return [event.image as Digest];
    if (event.type === 'ManifestAdded') return [event.manifest.digest, ...event.layers.map(({ digest }) => digest)];
    return event.type === 'ReferenceSet' && event.target !== undefined ? [event.target.digest] : [];
  });
  for (let round = 0; round < 5; round++) {
    const deletions = [...store.map().keys()].map((id) => store.delete(id));
    const erasures = digests.map((digest) => store.erase(digest, `round ${round}`).catch((error) => error.code));
    await Promise.all([...deletions, store.load(archive), ...erasures]);
    await store.load(archive);
    for (const image of store.map().values()) t.true(image.rawJSON().length > 0);
    for await (const _ of store.save([...store.map().keys()]));
    t.deepEqual(await store.verify(), []);
  }
});

test('a store for configs only erases them too', async (t) => {
  const store = await temporaryStore(t, { layers: 'none' });
  const config = imageConfig('layered', [idNamed('layer')]);
  await store.delete(await store.create(config));
  t.is((await store.erase(idOf(config), 'r')).size, config.length);
});
