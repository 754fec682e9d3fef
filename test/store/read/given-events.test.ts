import test from 'ava';
import type { StoredEvent } from '../../../src/model/events.js';
import { defineProjection } from '../../../src/store/own-projections.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { archivePath } from '../fixture-archives.js';
import { openTestStore } from '../../support/test-store.js';

/** Tries to change all of an event, and returns how many changes took. Bytes are the reader's own. */
function vandalize(value: object): number {
  if (value instanceof Uint8Array) {
    value.fill(0x21);
    return 0;
  }
  let changed = Array.isArray(value) ? Number(Reflect.set(value, value.length, 'spoilt')) : 0;
  for (const [name, each] of Object.entries(value)) {
    if (typeof each === 'object' && each !== null) changed += vandalize(each);
    changed += Number(Reflect.set(value, name, 'spoilt'));
  }
  return changed;
}

/** Without fields that are undefined, which a live event may have and one read may not. */
function plain(events: readonly StoredEvent[]): unknown {
  return JSON.parse(JSON.stringify(events));
}

/** Writes events of every nested kind: descriptors, lists, platforms, annotations, bytes. */
async function write(store: EventStore): Promise<void> {
  await store.load(archivePath('oci-multi-platform.tar'));
  await store.create(imageConfig('a'));
  await store.setMetadata(idNamed('a'), 'note', new TextEncoder().encode('kept'));
  await store.tag({ source: idNamed('a'), target: 'x:1' });
  await store.untag('x:1');
}

const SUBSCRIBERS: Readonly<Record<string, (store: EventStore, seen: (event: StoredEvent) => void) => Promise<void>>> =
  {
    events$: async (store, seen) => {
      store.log.events$.subscribe(seen);
      await write(store);
    },
    'a follower': async (store, seen) => {
      const follower = store.log.follow();
      await write(store);
      while (follower.position < store.log.head.seq) seen((await follower.next()).value as StoredEvent);
      await follower.return();
    },
    'a consumer': async (store, seen) => {
      const consumer = store.consumer('vandal');
      const events = consumer[Symbol.asyncIterator]();
      await write(store);
      for (let seq = 1; seq <= store.log.head.seq; seq++) {
        const { value } = await events.next();
        seen(value as StoredEvent);
        await consumer.ack(value as StoredEvent);
      }
      await consumer.close();
    },
    'a projection': async (store, seen) => {
      const evolve = (count: number, event: StoredEvent): number => {
        seen(event);
        return count + 1;
      };
      await store.project(defineProjection({ name: 'vandal', version: 1, initial: () => 0, evolve }));
      await write(store);
    },
    'a reader': async (store, seen) => {
      await write(store);
      for await (const event of store.log.read()) seen(event);
    },
  };

for (const [name, subscribe] of Object.entries(SUBSCRIBERS)) {
  test(`what ${name} does to an event changes nothing for others`, async (t) => {
    const store = await openTestStore(t, { now: () => 7_000 });
    const other: StoredEvent[] = [];
    store.log.events$.subscribe((event) => other.push(event));
    let seen = 0;
    await subscribe(store, (event) => {
      seen += 1;
      t.is(vandalize(event), 0, `${event.type} was changed`);
    });
    t.is(seen, store.log.head.seq);
    const read: StoredEvent[] = [];
    for await (const event of store.log.read()) read.push(event);
    t.false(JSON.stringify(read).includes('spoilt'));
    t.deepEqual(plain(other), plain(read));
    t.is(new TextDecoder().decode(store.getMetadata(idNamed('a'), 'note')), 'kept');
    t.deepEqual(await store.verify(), []);
  });
}
