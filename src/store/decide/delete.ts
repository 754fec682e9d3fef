import type { ChainId, ImageId } from '../../model/digest.js';
import type { EventBody } from '../../model/events.js';
import type { LayerMetadata } from '../store.js';
import type { Decide, DecisionState } from './decision.js';
import { needImage } from './need.js';
import { type RemovedLayers, removeUnusedLayers } from './release.js';

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
