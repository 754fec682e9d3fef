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
  const events: LayerRemoved[] = [];
  let next: ChainId | undefined = chainId;
  while (next !== undefined) {
    const layer = state.layer(next);
    // The use that is being given up is still counted: of the image or caller at the top, of the layer above below it.
    if (layer === undefined || state.usesOf(next) > 1) break;
    events.push({ type: 'LayerRemoved', ...layer });
    next = layer.parent;
  }
  return { events, layers: events.map(layerMetadata) };
}

/** Returns the facts of a layer that Docker's layer store tells of one that went. */
function layerMetadata({ chainId, diffId, size, diffSize }: LayerFacts): LayerMetadata {
  return { chainId, diffId, size, diffSize };
}
