import { type ChainId, type Digest, digestOf, type ImageId } from '../../../src/model/digest.js';
import type { EventBody } from '../../../src/model/events.js';
import { createChainId } from '../../../src/model/rootfs.js';
import { createdAt, imageConfig, imageLayers } from './image-configs.js';
import { LifeState, LiveImage } from './life-state.js';

/** Events of one command with their content. */
export interface GrownTransaction {
  readonly events: readonly EventBody[];
  readonly content: ReadonlyMap<Digest, Uint8Array>;
}

/** Children of each parent. */
const CHILDREN = 3;
/** One in this many images has a name. */
const NAMED = 10;

/** Returns the name of the `index`-th image, if it has one. */
export function nameOf(index: number): string {
  return `docker.io/shop/service-${Math.floor(index / NAMED)}:prod`;
}

/** Yields commands that add `count` images: each based on an earlier one, one in ten named. */
export function* growingImages(count: number): Generator<GrownTransaction> {
  const state = new LifeState();
  const images: LiveImage[] = [];
  for (let index = 0; index < count; index++) {
    const { image, event, content } = createdImage(index);
    const parent = images[Math.floor((index - 1) / CHILDREN)];
    // Only these become parents.
    if (index < count / CHILDREN) images.push(image);
    const parentSet = parent === undefined ? [] : state.setParent(image, parent);
    const named = index % NAMED === 0 ? state.point(nameOf(index), image) : [];
    yield { events: [event, ...parentSet, ...named], content };
  }
}

/** Yields commands for `live` named images that keep being replaced, up to about `size` events. */
export function* replacedImages(live: number, size: number): Generator<GrownTransaction> {
  const state = new LifeState();
  const images: LiveImage[] = [];
  for (let index = 0, seq = 0; seq < size; index++) {
    const { image, event, content } = createdImage(index);
    const replaced = images[index % live];
    images[index % live] = image;
    const named = state.point(nameOf((index % live) * NAMED), image);
    const events = [event, ...named, ...(replaced === undefined ? [] : state.delete(replaced))];
    seq += events.length;
    yield { events, content };
  }
}

function createdImage(index: number): { image: LiveImage; event: EventBody; content: Map<Digest, Uint8Array> } {
  const layers = imageLayers(index);
  const config = imageConfig(index, layers);
  const id = digestOf(config) as ImageId;
  const chainId = createChainId(layers) as ChainId;
  const size = config.length;
  return {
    image: new LiveImage(id, chainId),
    event: {
      type: 'ImageCreated',
      image: id,
      size,
      chainId,
      os: 'linux',
      architecture: 'amd64',
      created: createdAt(index),
    },
    content: new Map([[id, config]]),
  };
}
