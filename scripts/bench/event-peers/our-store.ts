import { openStore } from '../../../src/index.js';
import { imageConfig } from '../inputs/image-configs.js';
import { taggedImages } from './small-events.js';
import type { EventPeer, SmallEvent, Unsubscribe } from './event-peer.js';

/** Opens our store as users do: events are commands, validated, folded into all views, audited. */
export async function openOurStore(directory: string): Promise<EventPeer> {
  const store = await openStore(directory, { layers: 'none', actor: 'bench' });
  await Promise.all(taggedImages.map((_, index) => store.create(imageConfig(index))));
  return {
    name: 'ours',
    settings:
      'commands that wait at the same time become one synced batch; read events are checked against their hashes',
    append: async (events: readonly SmallEvent[]) => {
      await Promise.all(events.map(({ reference, image = '' }) => store.tag({ source: image, target: reference })));
    },
    readAll: async () => {
      let count = -taggedImages.length;
      for await (const { seq } of store.log.read()) if (seq > 0) count++;
      return count;
    },
    subscribe: async (from, take): Promise<Unsubscribe> => {
      const follower = store.log.follow(from === 'start' ? { from: taggedImages.length + 1 } : {});
      const ended = (async () => {
        for await (const { seq } of follower) if (seq > 0) take();
      })();
      return async () => {
        await follower.return();
        await ended;
      };
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
}
