import { StoreError } from '../../errors.js';
import { MAX_LAYERS_PER_IMAGE } from '../../limits.js';
import type { ChainId } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import { type Decide, type DecisionState, unchanged } from './decision.js';
import { removeUnusedLayers } from './delete.js';
import type { LayerMetadata } from '../store.js';

/** A layer on its way in: all but the size of its chain. */
export type NewLayer = Omit<LayerFacts, 'size'>;

/**
 * Decides `layers.register`: the layer, unless it is there already.
 * @throws {StoreError} as a decision: LAYER_NOT_FOUND for its parent, LAYER_INVALID when it would be one layer more
 * than an image may have
 */
export function decideRegister(layer: NewLayer): Decide<LayerFacts> {
  return (state) => {
    const known = state.layer(layer.chainId);
    if (known !== undefined) return unchanged(known);
    const parent = layer.parent === undefined ? undefined : state.layer(layer.parent);
    if (layer.parent !== undefined && parent === undefined) throw layerNotFound(layer.parent);
    refuseTooDeep(state, layer);
    const facts: LayerFacts = { ...layer, size: (parent?.size ?? 0) + layer.diffSize };
    return { events: [{ type: 'LayerAdded', ...facts }], result: facts };
  };
}

function refuseTooDeep(state: DecisionState, { chainId, parent }: NewLayer): void {
  let layers = 1;
  for (let at = parent; at !== undefined; at = state.layer(at)?.parent) layers++;
  if (layers <= MAX_LAYERS_PER_IMAGE) return;
  throw new StoreError(
    'LAYER_INVALID',
    `cannot add the layer chain ${chainId}: it would have ${layers} layers, at most ${MAX_LAYERS_PER_IMAGE} are allowed`,
    { data: { chainId, layers, limit: MAX_LAYERS_PER_IMAGE } },
  );
}

/** Decides `layers.release` of a hold that is still counted. */
export function decideRelease(chainId: ChainId): Decide<readonly LayerMetadata[]> {
  return (state) => {
    const { events, layers } = removeUnusedLayers(state, chainId);
    return { events, result: layers };
  };
}

/** Returns the error of a look for a layer that is not there. */
export function layerNotFound(chainId: ChainId): StoreError {
  return new StoreError('LAYER_NOT_FOUND', `no layer chain ${chainId}`, { data: { chainId } });
}
