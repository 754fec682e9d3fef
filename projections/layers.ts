import type { ChainId } from '../src/model/digest.js';
import type { LayerFacts } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './descriptor-codec.js';
import type { StoredProjection } from './projection.js';
import { readRows, writeRows } from './snapshot-rows.js';

/** Every layer by chain id, and how many layers stand on each. */
export interface LayersView {
  readonly byChain: Map<ChainId, LayerFacts>;
  readonly childrenOf: Map<ChainId, number>;
}

export const layersProjection: StoredProjection<LayersView> = {
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
  encode({ byChain, childrenOf }) {
    const [layers, children] = [[...byChain.values()], [...childrenOf]];
    return function* (out) {
      yield* writeRows(out, layers, ({ chainId, diffId, parent, size, diffSize, blob }) => {
        out.digest(chainId);
        out.digest(diffId);
        out.optionalDigest(parent);
        out.uint(size);
        out.uint(diffSize);
        writeDescriptor(out, blob);
      });
      yield* writeRows(out, children, ([chainId, count]) => {
        out.digest(chainId);
        out.uint(count);
      });
    };
  },
  decode(input) {
    const view: LayersView = { byChain: new Map(), childrenOf: new Map() };
    readRows(input, () => {
      const layer: LayerFacts = {
        chainId: input.digest(),
        diffId: input.digest(),
        parent: input.optionalDigest(),
        size: input.uint(),
        diffSize: input.uint(),
        blob: readDescriptor(input),
      };
      view.byChain.set(layer.chainId, layer);
    });
    readRows(input, () => void view.childrenOf.set(input.digest(), input.uint()));
    return view;
  },
};

function dropChild(view: LayersView, parent: ChainId): void {
  const left = (view.childrenOf.get(parent) ?? 0) - 1;
  if (left > 0) view.childrenOf.set(parent, left);
  else view.childrenOf.delete(parent);
}
