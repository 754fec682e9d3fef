import type { ChainId } from '../src/model/digest.js';
import type { LayerFacts } from '../src/model/events.js';
import type { Projection } from './projection.js';

/** Every layer by chain id, and how many layers stand on each. */
export interface LayersView {
  readonly byChain: Map<ChainId, LayerFacts>;
  readonly childrenOf: Map<ChainId, number>;
}

export const layersProjection: Projection<LayersView> = {
  name: 'layers',
  version: 1,
  initial: () => ({ byChain: new Map(), childrenOf: new Map() }),
  evolve(view, event) {
    if (event.type === 'LayerAdded') {
      const { chainId, diffId, parent, size, diffSize, blob } = event;
      view.byChain.set(chainId, { chainId, diffId, parent, size, diffSize, blob });
      if (parent !== undefined) view.childrenOf.set(parent, (view.childrenOf.get(parent) ?? 0) + 1);
    } else if (event.type === 'LayerRemoved') {
      view.byChain.delete(event.chainId);
      if (event.parent !== undefined) dropChild(view, event.parent);
    }
    return view;
  },
};

function dropChild(view: LayersView, parent: ChainId): void {
  const left = (view.childrenOf.get(parent) ?? 0) - 1;
  if (left > 0) view.childrenOf.set(parent, left);
  else view.childrenOf.delete(parent);
}
