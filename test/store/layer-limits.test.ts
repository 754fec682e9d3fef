import test from 'ava';
import { MAX_LAYERS_PER_IMAGE } from '../../src/limits.js';
import type { ChainId } from '../../src/model/digest.js';
import type { LayerFacts } from '../../src/model/events.js';
import type { DecisionState } from '../../src/store/commands/decision.js';
import { decideRegister } from '../../src/store/commands/layers.js';
import { imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { openTestStore } from '../support/test-store.js';

const digests = Array.from(
  { length: MAX_LAYERS_PER_IMAGE + 1 },
  (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`,
);

test('an image may have as many layers as an archive may bring, and no more', async (t) => {
  const store = await openTestStore(t, { layers: 'none' });
  const id = await store.create(imageConfig('most', digests.slice(1)));
  t.is(store.get(id).rootFS.diffIds.length, MAX_LAYERS_PER_IMAGE);
  const error = await rejection(t, 'CONFIG_INVALID', store.create(imageConfig('more', digests)));
  t.deepEqual(error.data, { layers: MAX_LAYERS_PER_IMAGE + 1, limit: MAX_LAYERS_PER_IMAGE });
  t.is(store.len(), 1);
});

/** A layer that stands on the one before it in `digests`. */
function layerAt(at: number): LayerFacts {
  const [chainId, parent] = [digests[at], digests[at - 1]] as [ChainId, ChainId | undefined];
  const diffId = chainId as never;
  return { chainId, diffId, parent, size: at, diffSize: 1, blob: { digest: chainId, size: 1, mediaType: 'm' } };
}

test('a chain of layers may be as long as an image may have it, and no longer', (t) => {
  const stateOf = (length: number): DecisionState => {
    const layers = new Map(digests.slice(0, length).map((id, at) => [id as ChainId, layerAt(at)]));
    return { layer: (chainId: ChainId) => layers.get(chainId) } as DecisionState;
  };
  const last = MAX_LAYERS_PER_IMAGE - 1;
  const { events } = decideRegister(layerAt(last))(stateOf(last));
  t.like(events, [{ type: 'LayerAdded', chainId: digests[last], size: last }]);
  const error = storeError(t, 'LAYER_INVALID', () => decideRegister(layerAt(last + 1))(stateOf(last + 1)));
  t.deepEqual(error.data, { chainId: digests[last + 1], layers: last + 2, limit: MAX_LAYERS_PER_IMAGE });
});
