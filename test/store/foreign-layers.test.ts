import { join } from 'node:path';
import test from 'ava';
import type { ChainId } from '../../src/model/digest.js';
import { openStore } from '../../src/store/open/open-store.js';
import { CountingLayers } from '../support/counting-layers.js';
import { imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';

const chain = `sha256:${'ab'.repeat(32)}` as ChainId;
const missing = `sha256:${'cd'.repeat(32)}`;

test('without layers a store keeps configs with any layers', async (t) => {
  const store = await openTestStore(t, { layers: 'none' });
  const id = await store.create(imageConfig('a', [missing]));
  t.is(store.get(id).rootFS.chainID(), missing as ChainId);
  t.deepEqual(await store.delete(id), []);
  storeError(t, 'LAYERS_UNAVAILABLE', () => store.layers);
});

test('each image holds its chain once, and releases it when it is deleted', async (t) => {
  const layers = new CountingLayers([chain]);
  const store = await openTestStore(t, { layers });
  const [a, b] = await Promise.all([
    store.create(imageConfig('a', [chain])),
    store.create(imageConfig('b', [chain])),
    store.create(imageConfig('a', [chain])),
    store.create(imageConfig('no layers')),
  ]);
  t.is(layers.counts.get(chain), 2);
  t.deepEqual(await store.delete(a), []);
  t.deepEqual(
    (await store.delete(b)).map(({ chainId }) => chainId),
    [chain],
  );
  t.is(layers.counts.get(chain), 0);
  storeError(t, 'LAYERS_UNAVAILABLE', () => store.layers);
});

test('a create that fails holds nothing', async (t) => {
  const layers = new CountingLayers([chain]);
  const store = await openTestStore(t, { layers, os: 'windows' });
  await rejection(t, 'OS_UNSUPPORTED', store.create(imageConfig('a', [chain])));
  await rejection(t, 'ENVELOPE_INVALID', store.create(imageConfig('no', []), { actor: '' }));
  t.is(layers.counts.get(chain), 0);
  const reader = await openTestStore(t, { layers });
  await rejection(t, 'ENVELOPE_INVALID', reader.create(imageConfig('a', [chain]), { actor: '' }));
  await reader.close();
  await rejection(t, 'STORE_CLOSED', reader.create(imageConfig('a', [chain])));
  t.is(layers.counts.get(chain), 0);
});

test('anything the layer store throws becomes the cause of LAYER_MISSING', async (t) => {
  for (const thrown of [new Error('gone'), 'a text', undefined]) {
    const layers = {
      get: () => {
        throw thrown;
      },
      release: () => [],
    };
    const store = await openTestStore(t, { layers });
    const error = await rejection(t, 'LAYER_MISSING', store.create(imageConfig('a', [chain])));
    t.is(error.cause, thrown);
    t.is(error.kind, 'InvalidParameter');
    t.is(store.log.head.seq, 0);
  }
});

test('an image that is deleted and created in one turn holds its chain once', async (t) => {
  const layers = new CountingLayers([chain]);
  const store = await openTestStore(t, { layers });
  const id = await store.create(imageConfig('a', [chain]));
  await Promise.all([store.delete(id), store.create(imageConfig('a', [chain]))]);
  t.is(store.len(), 1);
  t.is(layers.counts.get(chain), 1);
  await store.delete(id);
  t.is(layers.counts.get(chain), 0);
});

test('a store that is opened takes the holds of its images again, and keeps those whose layers are gone', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { layers: 'none' });
  const [a, b] = [await store.create(imageConfig('a', [chain])), await store.create(imageConfig('b', [missing]))];
  await store.close();
  const layers = new CountingLayers([chain]);
  const again = await openTestStore(t, { directory, layers });
  t.is(layers.counts.get(chain), 1);
  t.is(await again.create(imageConfig('b', [missing])), b);
  t.deepEqual(await again.delete(b), []);
  t.deepEqual(
    (await again.delete(a)).map(({ chainId }) => chainId),
    [chain],
  );
});
