import type { ChainId, ImageId } from '../src/model/digest.js';
import type { Projection } from './projection.js';

/** What is known of an image without reading its config; the rest is in the config and in the event. */
export interface ImageEntry {
  /** The event that created it. */
  readonly seq: number;
  readonly chainId: ChainId | undefined;
}

/** Every image by id, in the order of creation. */
export interface ImagesView {
  readonly byId: Map<ImageId, ImageEntry>;
  /** How many images have each chain as their root filesystem. */
  readonly usesOfChain: Map<ChainId, number>;
}

export const imagesProjection: Projection<ImagesView> = {
  name: 'images',
  version: 1,
  initial: () => ({ byId: new Map(), usesOfChain: new Map() }),
  evolve(view, event) {
    if (event.type === 'ImageCreated') {
      view.byId.set(event.image, { seq: event.seq, chainId: event.chainId });
      if (event.chainId !== undefined) countUse(view, event.chainId, 1);
    } else if (event.type === 'ImageDeleted') {
      view.byId.delete(event.image);
      if (event.chainId !== undefined) countUse(view, event.chainId, -1);
    }
    return view;
  },
};

function countUse(view: ImagesView, chainId: ChainId, change: 1 | -1): void {
  const uses = (view.usesOfChain.get(chainId) ?? 0) + change;
  if (uses === 0) view.usesOfChain.delete(chainId);
  else view.usesOfChain.set(chainId, uses);
}
