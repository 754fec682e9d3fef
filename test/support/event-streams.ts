import fc from 'fast-check';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { bodiesOver } from './event-arbitraries.js';
import { idNamed } from './image-configs.js';
import { eventsFrom } from './stored-event.js';

const digests = Array.from({ length: 10 }, (_, at) => idNamed(`${at}`) as never);
const names = fc.constantFrom('x', 'y', 'z', '\ufeffz', 'é');
const bodies = bodiesOver(fc.constantFrom(...digests), names);

/**
 * Events from seq 1 on, over so few digests and names that they meet what others made. An image is created when it is
 * missing, and deleted as it was created, as in every log.
 */
export const eventStreams: fc.Arbitrary<StoredEvent[]> = fc
  .array(fc.oneof({ weight: 6, arbitrary: bodies.ImageCreated }, ...Object.values(bodies)), {
    minLength: 20,
    maxLength: 80,
    size: 'max',
  })
  .map((drawn) => eventsFrom(1, possible(drawn)));

function possible(drawn: readonly EventBody[]): EventBody[] {
  const images = new Map<string, Extract<EventBody, { type: 'ImageCreated' }>>();
  return drawn.flatMap((body): EventBody[] => {
    if (body.type !== 'ImageCreated' && body.type !== 'ImageDeleted') return [body];
    const created = images.get(body.image);
    if (body.type === 'ImageCreated') {
      if (created !== undefined) return [];
      images.set(body.image, body);
      return [body];
    }
    images.delete(body.image);
    return created === undefined ? [] : [{ ...body, chainId: created.chainId }];
  });
}
