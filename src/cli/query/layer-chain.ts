import type { ChainId, DiffId, Digest } from '../../model/digest.js';
import { createChainId } from '../../model/rootfs.js';

/** One layer of an image and the stack that ends with it. */
export interface ChainedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/** Returns the layers of an image from the bottom up, each with the chain id up to there. */
export function layerChain(diffIds: readonly DiffId[]): ChainedLayer[] {
  let below: ChainId | '' = '';
  return diffIds.map((diffId) => {
    // A chain id stands for the whole stack below, so that one step needs no other layer.
    below = createChainId(below === '' ? [diffId] : [below as Digest as DiffId, diffId]);
    return { diffId, chainId: below as ChainId };
  });
}
