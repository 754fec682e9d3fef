import type { ChainId, ImageId } from '../src/model/digest.js';
import type { StoredProjection } from './projection.js';
import { readRows, writeRows } from './snapshot-rows.js';

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

export const imagesProjection: StoredProjection<ImagesView> = {
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
  encode({ byId, usesOfChain }) {
    const [ids, entries] = [[...byId.keys()], [...byId.values()]];
    const uses = [...usesOfChain];
    return function* (out) {
      yield* writeRows(out, ids, (id, index) => {
        const { seq, chainId } = entries[index] as ImageEntry;
        out.digest(id);
        out.uint(seq);
        out.optionalDigest(chainId);
      });
      yield* writeRows(out, uses, ([chainId, count]) => {
        out.digest(chainId);
        out.uint(count);
      });
    };
  },
  decode(input) {
    const view: ImagesView = { byId: new Map(), usesOfChain: new Map() };
    readRows(input, () => {
      const id: ImageId = input.digest();
      view.byId.set(id, { seq: input.uint(), chainId: input.optionalDigest() });
    });
    readRows(input, () => void view.usesOfChain.set(input.digest(), input.uint()));
    return view;
  },
};

function countUse(view: ImagesView, chainId: ChainId, change: 1 | -1): void {
  const uses = (view.usesOfChain.get(chainId) ?? 0) + change;
  if (uses === 0) view.usesOfChain.delete(chainId);
  else view.usesOfChain.set(chainId, uses);
}
