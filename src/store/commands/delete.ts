import type { ChainId, ImageId } from '../../model/digest.js';
import type { EventBody, LayerFacts, LayerRemoved } from '../../model/events.js';
import type { LayerMetadata } from '../store.js';
import { type Decide, type DecisionState, needImage } from './decision.js';

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

/**
 * Decides `delete`: the children lose their parent, the references go, then the image, then the layers that nothing
 * else needs. Throws IMAGE_NOT_FOUND.
 */
export function decideDelete(id: ImageId): Decide<readonly LayerMetadata[]> {
  return (state) => {
    const { chainId } = needImage(state, id);
    const parent = state.parent(id);
    const events: EventBody[] = [];
    for (const child of state.children(id).sort()) events.push({ type: 'ParentCleared', image: child, parent: id });
    for (const reference of state.referencesOf(id)) events.push(withoutImage(state, reference, id));
    events.push({ type: 'ImageDeleted', image: id, parent, chainId });
    const removed = releaseChain(state, chainId);
    return { events: [...events, ...removed.events], result: removed.layers };
  };
}

// One platform of a multi-platform reference may go while the others stay.
function withoutImage(state: DecisionState, reference: string, id: ImageId): EventBody {
  const entry = state.reference(reference);
  const left = entry?.platforms?.filter(({ image }) => image !== id) ?? [];
  const next = left[0];
  if (entry === undefined || next === undefined) {
    return { type: 'ReferenceRemoved', reference, image: entry?.image ?? id, platforms: entry?.platforms };
  }
  return {
    type: 'ReferenceSet',
    reference,
    image: entry.image === id ? next.image : entry.image,
    previous: entry.image,
    target: entry.target,
    platforms: left,
    previousPlatforms: entry.platforms,
  };
}

function releaseChain(state: DecisionState, chainId: ChainId | undefined): RemovedLayers {
  return chainId === undefined ? { events: [], layers: [] } : removeUnusedLayers(state, chainId);
}
