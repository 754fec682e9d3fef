import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { EventFilter } from '../../src/store/follow/event-filter.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
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
  await store.tag({ source: main, target: MULTI });
  for (const image of [main, other]) {
    const event = await lastEvent(store, { image });
    t.is(event?.seq, store.log.head.seq);
    t.like(event, { type: 'ReferenceSet', image: main, previous: main });
  }
});

test('with overwrite false a name keeps every image that it gives, and may get more', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  const entries = store.referenceEntries();
  const error = await rejection(
    t,
    'REFERENCE_EXISTS',
    store.tag({ source: main, target: MULTI }, { overwrite: false }),
  );
  t.deepEqual(error.data, { reference: MULTI, image: main, wanted: main });
  t.regex(error.message, /and 1 more already/);
  const onlyMain = { platform: 'linux/amd64', overwrite: false };
  await store.load(archivePath('oci-multi-platform.tar'), onlyMain);
  t.deepEqual(store.referenceEntries(), entries, 'a platform of the same index adds');
  const smaller = store.save([MULTI], { platform: 'linux/amd64' });
  await rejection(t, 'REFERENCE_EXISTS', store.load(smaller, { overwrite: false }));
  t.deepEqual(store.referenceEntries(), entries);
  await store.load(archivePath('oci-multi-platform.tar'), { overwrite: false });
  t.deepEqual(store.referenceEntries(), entries);
  await store.tag({ source: main, target: MULTI });
  t.deepEqual(store.references(other), []);
  await store.load(archivePath('oci-multi-platform.tar'), { overwrite: false });
  t.deepEqual(store.references(other), [MULTI]);
});

test('a load that takes a platform from a name says so', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  const archive = await buffer(store.save([MULTI], { platform: 'linux/amd64' }));
  const { references, notices } = await store.load(Readable.from([archive]));
  t.deepEqual(references, [{ reference: MULTI, image: main, previous: main }]);
  const lost = 'docker.io/library/tiny:multi no longer has an image for linux/arm64';
  t.true(notices.some((notice) => notice.startsWith(lost)));
  t.deepEqual(store.references(other), []);
  const again = await store.load(Readable.from([archive]));
  t.deepEqual(again.references, [{ reference: MULTI, image: main, previous: undefined }]);
});

test('a name of one image gives it for its own platform only', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  await store.tag({ source: other, target: 'one:1' });
  t.is(store.resolve('one:1'), other);
  t.is(store.resolve('one:1', { platform: 'linux/arm64' }), other);
  const error = storeError(t, 'PLATFORM_NOT_FOUND', () => store.resolve('one:1', { platform: 'linux/amd64' }));
  t.like(error.data, { reference: 'docker.io/library/one:1', platform: 'linux/amd64' });
  t.is(store.resolve(MULTI, { platform: 'linux/amd64' }), main);
});

test('a tag of a name stands for all that the name stands for, and a tag of an id for the image', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  const [multi] = store.referenceEntries();
  await store.tag({ source: 'tiny:multi', target: 'copy:1' });
  await store.tag({ source: main, target: 'one:1' });
  const [copy, one] = ['copy:1', 'one:1'].map((name) =>
    store.referenceEntries().find(({ reference }) => reference === `docker.io/library/${name}`),
  );
  t.deepEqual([copy?.image, copy?.target, copy?.platforms], [multi?.image, multi?.target, multi?.platforms]);
  t.deepEqual([one?.image, one?.platforms], [main, undefined]);
  t.is(store.resolve('copy:1', { platform: 'linux/arm64' }), other);
  const head = store.log.head.seq;
  await store.tag({ source: 'copy:1', target: 'copy:1' });
  t.is(store.log.head.seq, head);
});

test('a tag by digest of a name must name its index, its image or a manifest of that', async (t) => {
  const { store, main, other } = await multiPlatformStore(t);
  const index = store.referenceEntries()[0]?.target?.digest;
  await store.tag({ source: 'tiny:multi', target: `tiny@${index}` });
  t.is(store.resolve(`tiny@${index}`, { platform: 'linux/arm64' }), other);
  await store.tag({ source: 'tiny:multi', target: `tiny@${main}` });
  storeError(t, 'PLATFORM_NOT_FOUND', () => store.resolve(`tiny@${main}`, { platform: 'linux/arm64' }));
  await rejection(t, 'REFERENCE_INVALID', store.tag({ source: 'tiny:multi', target: `tiny@${other}` }));
  await rejection(t, 'REFERENCE_NOT_FOUND', store.tag({ source: 'nobody:1', target: 'x:1' }));
  await rejection(t, 'REFERENCE_INVALID', store.tag({ source: 'Nobody', target: 'x:1' }));
});
