import { StoreError } from '../../errors.js';
import { MAX_LAYERS_PER_IMAGE } from '../../limits.js';
import type { ChainId, DiffId } from '../../model/digest.js';
import type { LayerFacts, LayerRemoved } from '../../model/events.js';
import { createChainId } from '../../model/rootfs.js';
import type { LayerMetadata } from '../store.js';
import { type Decide, type DecisionState, unchanged } from './decision.js';

/** Returns the chain id of `diffId` on `parent` (OCI image spec, config.md, Layer ChainID). */
export function chainOnTop(parent: ChainId | undefined, diffId: DiffId): ChainId {
  // A single layer's chain id is its diff id, so a parent chain can take the first diff id's place.
  const below: string | undefined = parent;
  return createChainId(below === undefined ? [diffId] : [below as DiffId, diffId]) as ChainId;
}

/** An incoming layer, without the size of its chain. */
export type NewLayer = Omit<LayerFacts, 'size'>;

/**
 * Decides `layers.register`; no-op for an existing layer.
 * @throws {StoreError} as a decision: LAYER_NOT_FOUND for its parent, LAYER_INVALID when it exceeds
 *   the layers an image may have
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
    `cannot add the layer ${chainId}: it would have ${layers} layers, at most ${MAX_LAYERS_PER_IMAGE} are allowed`,
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

/** Creates LAYER_NOT_FOUND. */
export function layerNotFound(chainId: ChainId): StoreError {
  return new StoreError('LAYER_NOT_FOUND', `no layer ${chainId}`, { data: { chainId } });
}

/** Removed layers, top first, as events and as facts for the caller. */
interface RemovedLayers {
  readonly events: readonly LayerRemoved[];
  readonly layers: readonly LayerMetadata[];
}

/**
 * Returns what is removed when one use of `chainId` is dropped: that layer if nothing else needs
 * it, then its parent likewise, and so on down, as Docker's layer store counts references.
 */
export function removeUnusedLayers(state: DecisionState, chainId: ChainId): RemovedLayers {
  return removeLayers(state, [chainId], new Map([[chainId, 1]]));
}

/**
 * Returns what is removed with unused layers: the unused ones of `chains`, and below each what
 * nothing else needs. `givenUp` are uses still counted but being dropped.
 */
export function removeLayers(
  state: DecisionState,
  chains: Iterable<ChainId>,
  givenUp: Map<ChainId, number> = new Map(),
): RemovedLayers {
  const events: LayerRemoved[] = [];
  for (const chainId of chains) {
    let next: ChainId | undefined = chainId;
    while (next !== undefined) {
      const layer = state.layer(next);
      // A removed layer still counts as a use of the one below.
      if (layer === undefined || state.usesOf(next) > (givenUp.get(next) ?? 0)) break;
      events.push({ type: 'LayerRemoved', ...layer });
      next = layer.parent;
      if (next !== undefined) givenUp.set(next, (givenUp.get(next) ?? 0) + 1);
    }
  }
  return { events, layers: events.map(layerMetadata) };
}

/** Returns the facts Docker's layer store reports of a removed layer. */
function layerMetadata({ chainId, diffId, size, diffSize }: LayerFacts): LayerMetadata {
  return { chainId, diffId, size, diffSize };
}
