import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import { digestOf, type ImageId } from '../../../src/model/digest.js';
import { imageConfig } from '../inputs/image-configs.js';
import type { SmallEvent } from './event-peer.js';

/** Events per commit, one per name. */
export const BATCH_EVENTS = 100;

/** Two images that names move between. */
export const taggedImages: readonly ImageId[] = [0, 1].map((index) => digestOf(imageConfig(index)) as ImageId);

/**
 * Returns batches of events as our store writes them, each moving every name from one image to the
 * other. Same input for all peers, and no view grows.
 */
export async function smallEvents(directory: string, batches: number): Promise<SmallEvent[][]> {
  await using store = await openStore(join(directory, 'model'), { layers: 'none', actor: 'bench' });
  for (const index of taggedImages.keys()) await store.create(imageConfig(index));
  for (let batch = 0; batch < batches; batch++) {
    const image = taggedImages[batch % taggedImages.length] as ImageId;
    const names = Array.from({ length: BATCH_EVENTS }, (_, index) => `docker.io/shop/service-${index}:prod`);
    await Promise.all(names.map((name) => store.tag({ source: image, target: name })));
  }
  const events: SmallEvent[] = [];
  for await (const event of store.log.read()) if (event.type === 'ReferenceSet') events.push(event);
  return Array.from({ length: batches }, (_, at) => events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS));
}
