import type { ChainId, ImageId } from '../src/model/digest.js';
import type { Projection } from './projection.js';

/** What is known of an image without reading its config. */
export interface ImageEntry {
  /** Bytes of the config. */
  readonly size: number;
  readonly chainId: ChainId | undefined;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
  /** RFC 3339, as the config says. */
  readonly created: string | undefined;
  /** The event that created it. */
  readonly seq: number;
  readonly time: number;
}

/** Every image by id, in the order of creation. */
export interface ImagesView {
  readonly byId: Map<ImageId, ImageEntry>;
  /** How many images have each chain as their root filesystem. */
  readonly usesOfChain: Map<ChainId, number>;
  /** One string for each of the few words that all images repeat. */
  readonly words: Map<string, string>;
}

/** Words kept at the most: platforms are few, and a hostile log must not fill the memory. */
const MAX_WORDS = 1_024;

export const imagesProjection: Projection<ImagesView> = {
  name: 'images',
  version: 1,
  initial: () => ({ byId: new Map(), usesOfChain: new Map(), words: new Map() }),
  evolve(view, event) {
    if (event.type === 'ImageCreated') {
      const { size, chainId, os, architecture, variant, created, seq, time } = event;
      view.byId.set(event.image, {
        size,
        chainId: chainId === undefined ? undefined : (sharedWord(view, chainId) as ChainId),
        os: sharedWord(view, os),
        architecture: sharedWord(view, architecture),
        variant: variant === undefined ? undefined : sharedWord(view, variant),
        created,
        seq,
        time,
      });
      if (chainId !== undefined) countUse(view, chainId, 1);
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

// A decoded event brings its own copy of `linux` and of the chain id: 200 bytes an image, if they were kept.
function sharedWord(view: ImagesView, word: string): string {
  const known = view.words.get(word);
  if (known !== undefined) return known;
  if (view.words.size < MAX_WORDS) view.words.set(word, word);
  return word;
}
