import type { ChainId } from '../../model/digest.js';
import type { LayerFacts, LayerRemoved } from '../../model/events.js';
import type { LayerMetadata } from '../store.js';
import type { DecisionState } from './decision.js';

/** The layers that go when a chain is given up, top first: as events and as facts for the caller. */
export interface RemovedLayers {
  readonly events: readonly LayerRemoved[];
  readonly layers: readonly LayerMetadata[];
}

/**
 * Returns what goes when one use of `chainId` is given up: that layer when nothing else needs it, then its
 * parent under the same condition, and so on down, as Docker's layer store counts references.
 */
export function removeUnusedLayers(state: DecisionState, chainId: ChainId): RemovedLayers {
  return removeLayers(state, [chainId], new Map([[chainId, 1]]));
}

/**
 * Returns what goes with layers that nothing uses: those that are so, and below each what nothing else needs. `givenUp` are uses
 * that are still counted and are being given up.
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
      // A layer that goes is still counted as a use of the one below.
      if (layer === undefined || state.usesOf(next) > (givenUp.get(next) ?? 0)) break;
      events.push({ type: 'LayerRemoved', ...layer });
      next = layer.parent;
      if (next !== undefined) givenUp.set(next, (givenUp.get(next) ?? 0) + 1);
    }
  }
  return { events, layers: events.map(layerMetadata) };
}

/** Returns the facts of a layer that Docker's layer store tells of one that went. */
function layerMetadata({ chainId, diffId, size, diffSize }: LayerFacts): LayerMetadata {
  return { chainId, diffId, size, diffSize };
}
