import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import type { EventFilter, EventStore } from '../../src/store/store.js';
import { archivePath } from './fixture-archives.js';
import { temporaryStore } from './temporary-store.js';

const MULTI = 'docker.io/library/tiny:multi';

/** A store whose tiny:multi has an image for amd64, which it stands for, and one for arm64. */
async function multiPlatformStore(t: ExecutionContext): Promise<{ store: EventStore; main: ImageId; other: ImageId }> {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'));
  const main = store.resolve(MULTI);
  const other = [...store.map().keys()].find((id) => id !== main) as ImageId;
  return { store, main, other };
}

async function lastEvent(store: EventStore, filter: EventFilter): Promise<StoredEvent | undefined> {
  for await (const event of store.log.read({ filter, reverse: true, limit: 1 })) return event;
  return undefined;
}

test('the event that removes a name of several platforms says which images lost it', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  const platforms = store.referenceEntries()[0]?.platforms;
  await store.untag(MULTI);
  const expected = { type: 'ReferenceRemoved', seq: store.log.head.seq, image: main, platforms } as const;
  t.is(platforms?.length, 2);
  t.like(await lastEvent(store, { image: other }), expected);
  t.like(await lastEvent(store, { image: main }), expected);
});

test('the deletion of a platform’s image tells in the events of that image that it lost the name', async (t) => {
  for (const deleted of ['main', 'other'] as const) {
    const stores = await multiPlatformStore(t);
    const { store } = stores;
    const previousPlatforms = store.referenceEntries()[0]?.platforms;
    await store.delete(stores[deleted]);
    const left = stores[deleted === 'main' ? 'other' : 'main'];
    t.is(store.resolve(MULTI), left);
    t.like(await lastEvent(store, { image: stores[deleted], type: 'ReferenceSet' }), {
      transaction: (await lastEvent(store, { type: 'ImageDeleted' }))?.transaction,
      reference: MULTI,
      image: left,
      previous: stores.main,
      previousPlatforms,
    });
    await store.delete(left);
    t.like(await lastEvent(store, { image: left, type: 'ReferenceRemoved' }), { reference: MULTI, image: left });
  }
});

test('a name of several platforms that moves tells so in the events of each of its images', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  await store.tag(MULTI, main);
  for (const image of [main, other]) {
    const event = await lastEvent(store, { image });
    t.is(event?.seq, store.log.head.seq);
    t.like(event, { type: 'ReferenceSet', image: main, previous: main });
  }
});
