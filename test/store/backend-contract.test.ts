import test, { type ExecutionContext } from 'ava';
import { MAX_METADATA_KEY_BYTES } from '../../src/limits.js';
import type { Digest, ImageId } from '../../src/model/digest.js';
import { newFSStoreBackend, newImageStore } from '../../src/store/docker-backend.js';
import type { StoreBackend } from '../../src/store/store.js';
import { CountingLayers } from '../support/counting-layers.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

type MakeBackend = (t: ExecutionContext) => Promise<StoreBackend>;

const backends: Readonly<Record<string, MakeBackend>> = {
  'the filesystem backend': async (t) => newFSStoreBackend(await temporaryDirectory(t)),
  "the event store's backend": async (t) => (await openTestStore(t, { layers: 'none' })).backend,
};

type Check = (t: ExecutionContext, backend: StoreBackend) => Promise<void>;

const keeps = test.macro(async (t, make: MakeBackend, check: Check) => {
  await check(t, await make(t));
});

const unknown: Digest = idNamed('unknown');

function walked(backend: StoreBackend): Digest[] {
  const digests: Digest[] = [];
  backend.walk((digest) => void digests.push(digest));
  return digests.sort();
}

const contract: Readonly<Record<string, Check>> = {
  async 'gives the bytes back that were set'(t, backend) {
    const config = imageConfig('a');
    const digest = await backend.set(config);
    t.is(digest, idNamed('a'));
    t.is(await backend.set(config), digest);
    t.is(textOf(backend.get(digest)), textOf(config));
  },
  async 'refuses empty bytes'(t, backend) {
    await rejection(t, 'CONFIG_INVALID', backend.set(new Uint8Array()));
    t.deepEqual(walked(backend), []);
  },
  async 'walks everything that is there, and stops when the visitor throws'(t, backend) {
    for (const name of ['a', 'b', 'c']) await backend.set(imageConfig(name));
    await backend.delete(idNamed('b'));
    t.deepEqual(walked(backend), [idNamed('a'), idNamed('c')].sort());
    let visits = 0;
    const stop = new Error('enough');
    const visit = (): void => {
      visits++;
      throw stop;
    };
    t.is(
      t.throws(() => backend.walk(visit)),
      stop,
    );
    t.is(visits, 1);
  },
  async 'says what it has not'(t, backend) {
    await backend.set(imageConfig('a'));
    for (const digest of [unknown, 'sha256:../../x' as Digest]) {
      storeError(t, 'IMAGE_NOT_FOUND', () => backend.get(digest));
      storeError(t, 'IMAGE_NOT_FOUND', () => backend.getMetadata(digest, 'k'));
      await rejection(t, 'IMAGE_NOT_FOUND', backend.setMetadata(digest, 'k', bytesOf('v')));
      await rejection(t, 'IMAGE_NOT_FOUND', backend.delete(digest));
    }
    storeError(t, 'METADATA_NOT_FOUND', () => backend.getMetadata(idNamed('a'), 'k'));
  },
  async 'keeps metadata by key until it is replaced, deleted or gone with its image'(t, backend) {
    const id = await backend.set(imageConfig('a'));
    await backend.setMetadata(id, 'k', Uint8Array.of(0, 255, 10));
    await backend.setMetadata(id, 'l', new Uint8Array());
    t.deepEqual([...backend.getMetadata(id, 'k')], [0, 255, 10]);
    t.deepEqual([...backend.getMetadata(id, 'l')], []);
    await backend.setMetadata(id, 'k', bytesOf('new'));
    t.is(textOf(backend.getMetadata(id, 'k')), 'new');
    await backend.deleteMetadata(id, 'k');
    await backend.deleteMetadata(id, 'k');
    storeError(t, 'METADATA_NOT_FOUND', () => backend.getMetadata(id, 'k'));
    await backend.delete(id);
    await backend.set(imageConfig('a'));
    storeError(t, 'METADATA_NOT_FOUND', () => backend.getMetadata(id, 'l'));
  },
  async 'refuses a key that could not be a file name'(t, backend) {
    const id = await backend.set(imageConfig('a'));
    for (const key of [
      '',
      '.',
      '..',
      '../k',
      'a/b',
      'a\\b',
      '-k',
      'k\0',
      'é',
      'k'.repeat(MAX_METADATA_KEY_BYTES + 1),
    ]) {
      await rejection(t, 'METADATA_INVALID', backend.setMetadata(id, key, bytesOf('v')), key);
      storeError(t, 'METADATA_INVALID', () => backend.getMetadata(id, key), key);
      await rejection(t, 'METADATA_INVALID', backend.deleteMetadata(id, key), key);
    }
    await backend.setMetadata(id, 'k'.repeat(MAX_METADATA_KEY_BYTES), bytesOf('v'));
  },
  async 'keeps the parent as metadata'(t, backend) {
    const [child, parent] = [await backend.set(imageConfig('child')), await backend.set(imageConfig('parent'))];
    await backend.setMetadata(child, 'parent', bytesOf(parent));
    t.is(textOf(backend.getMetadata(child, 'parent')), parent);
    await backend.deleteMetadata(child, 'parent');
    storeError(t, 'METADATA_NOT_FOUND', () => backend.getMetadata(child, 'parent'));
  },
  async 'gives bytes that are the caller’s own'(t, backend) {
    const id = await backend.set(imageConfig('a'));
    await backend.setMetadata(id, 'k', bytesOf('v'));
    backend.get(id).fill(0);
    backend.getMetadata(id, 'k').fill(0);
    t.is(textOf(backend.get(id)), textOf(imageConfig('a')));
    t.is(textOf(backend.getMetadata(id, 'k')), 'v');
  },
  async 'carries an image store, and restores it'(t, backend) {
    const chain = `sha256:${'ab'.repeat(32)}`;
    const layers = new CountingLayers([chain]);
    const store = await newImageStore(backend, layers, { os: 'linux' });
    const [a, b] = [await store.create(imageConfig('a', [chain])), await store.create(imageConfig('b'))];
    await store.setParent(a, b);
    await store.setBuiltLocally(b);
    await store.setLastUpdated(b);
    const again = await newImageStore(backend, layers, { os: 'linux' });
    t.deepEqual([...again.map().keys()].sort(), [a, b].sort());
    t.deepEqual([again.getParent(a), again.children(b), again.isBuiltLocally(b)], [b, [a], true]);
    t.true(again.getLastUpdated(b) instanceof Date);
    t.is(layers.counts.get(chain as never), 2);
    await again.delete(b);
    storeError(t, 'METADATA_NOT_FOUND', () => again.getParent(a));
    t.deepEqual(walked(backend), [a]);
  },
};

for (const [name, make] of Object.entries(backends)) {
  for (const [promise, check] of Object.entries(contract)) test(`${name} ${promise}`, keeps, make, check);
}

test("the event store's backend takes nothing that is not an image config, and no parent that is not an id", async (t) => {
  const { backend } = await openTestStore(t);
  await rejection(t, 'CONFIG_INVALID', backend.set(bytesOf('text')));
  const id = await backend.set(imageConfig('a'));
  await rejection(t, 'METADATA_INVALID', backend.setMetadata(id, 'parent', bytesOf('nobody')));
  await rejection(t, 'PARENT_NOT_FOUND', backend.setMetadata(id, 'parent', bytesOf(unknown)));
  await rejection(t, 'PARENT_CYCLE', backend.setMetadata(id, 'parent', bytesOf(id)));
  await rejection(t, 'METADATA_INVALID', backend.setMetadata(id, 'lastUpdated', bytesOf('yesterday')));
});

test('the filesystem backend takes any bytes, and the image store skips what is not an image', async (t) => {
  const backend = await newFSStoreBackend(await temporaryDirectory(t));
  const digest = await backend.set(bytesOf('text'));
  const store = await newImageStore(backend, new CountingLayers([]));
  t.is(store.len(), 0);
  t.throws(() => store.get(digest as ImageId), { name: 'StoreError' });
});
