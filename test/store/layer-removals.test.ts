import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { Layer } from '../../src/store/store.js';
import { imageConfig } from '../support/image-configs.js';
import { openFailingStore } from '../support/test-store.js';
import { buildTar, collect } from '../support/build-tar.js';
import { temporaryStore } from './temporary-store.js';

const TICKS = 30;

/** An image with one layer that nothing else needs. */
async function imageWithLayer(store: EventStore): Promise<{ id: ImageId; layer: Layer }> {
  const layer = await store.layers.register(Readable.from([await buildTar([{ name: 'f', body: 'f' }])]));
  const id = await store.create(imageConfig('a', [layer.diffId]));
  await store.layers.release(layer);
  return { id, layer };
}

function holdOrNone(store: EventStore, layer: Layer): Layer | undefined {
  try {
    return store.layers.get(layer.chainId);
  } catch (error) {
    if (isStoreError(error, 'LAYER_NOT_FOUND')) return undefined;
    throw error;
  }
}

async function heldWhile(
  t: ExecutionContext,
  store: EventStore,
  { layer, ticks, remove }: { layer: Layer; ticks: number; remove: () => Promise<unknown> },
): Promise<boolean> {
  const removing = remove();
  for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
  const held = holdOrNone(store, layer);
  await removing;
  t.is(store.layers.map().has(layer.chainId), held !== undefined, `after ${ticks} ticks`);
  if (held !== undefined) await store.layers.release(held);
  return held !== undefined;
}

test('a layer that a deletion takes away is given to nobody, and one that was given stays', async (t) => {
  const store = await temporaryStore(t);
  const outcomes = new Set<boolean>();
  for (let ticks = 0; ticks < TICKS; ticks++) {
    const { id, layer } = await imageWithLayer(store);
    outcomes.add(await heldWhile(t, store, { layer, ticks, remove: () => store.delete(id) }));
  }
  t.is(outcomes.size, 2);
});

test('a layer that a release takes away is given to nobody, and one that was given stays', async (t) => {
  const store = await temporaryStore(t);
  const outcomes = new Set<boolean>();
  for (let ticks = 0; ticks < TICKS; ticks++) {
    const { id, layer } = await imageWithLayer(store);
    const hold = store.layers.get(layer.chainId);
    await store.delete(id);
    outcomes.add(await heldWhile(t, store, { layer, ticks, remove: () => store.layers.release(hold) }));
  }
  t.is(outcomes.size, 2);
});

test('a layer whose deletion failed is given again', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const { id, layer } = await imageWithLayer(store);
  databases.fates.push('lost');
  await t.throwsAsync(store.delete(id), { code: 'OUTCOME_UNKNOWN' });
  await store.layers.release(store.layers.get(layer.chainId));
  t.true(store.layers.map().has(layer.chainId));
});

test('a blob that was cut short or lost bytes to zero length is whole again when its layer is registered again', async (t) => {
  const store = await temporaryStore(t);
  const tar = await buildTar([{ name: 'f', body: 'f' }]);
  const layer = await store.layers.register(Readable.from([tar]));
  const path = join(store.directory, 'blobs', 'sha256', layer.diffId.slice('sha256:'.length));
  for (const damage of [() => truncate(path, 100), () => writeFile(path, '')]) {
    await damage();
    const again = await store.layers.register(Readable.from([tar]));
    t.deepEqual(await collect(again.tarStream()), tar);
    await store.layers.release(again);
  }
});
