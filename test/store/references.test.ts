import test, { type ExecutionContext } from 'ava';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

const [a, b] = [idNamed('a'), idNamed('b')];
const X = 'docker.io/library/x:1';

async function twoImages(t: ExecutionContext): Promise<EventStore> {
  const store = await openTestStore(t, { now: () => 7_000 });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  return store;
}

test('a tag is found however it is written, and its references are sorted', async (t) => {
  const store = await twoImages(t);
  await store.tag({ source: a, target: 'x:1' });
  await store.tag({ source: a, target: 'example.com/repo/y' });
  await store.tag({ source: a, target: 'a/b:2' });
  for (const name of ['x:1', 'library/x:1', 'docker.io/x:1', 'index.docker.io/library/x:1', X])
    t.is(store.resolve(name), a, name);
  t.is(store.resolve('example.com/repo/y:latest'), a);
  t.deepEqual(store.references(a), ['docker.io/a/b:2', X, 'example.com/repo/y:latest']);
  t.deepEqual(store.references(b), []);
  t.deepEqual(
    store.referenceEntries().map(({ reference, image, seq, time }) => ({ reference, image, seq, time })),
    [
      { reference: 'docker.io/a/b:2', image: a, seq: 5, time: 7_000 },
      { reference: X, image: a, seq: 3, time: 7_000 },
      { reference: 'example.com/repo/y:latest', image: a, seq: 4, time: 7_000 },
    ],
  );
});

test('a moved tag says where it pointed before, and one that stands so already says nothing', async (t) => {
  const store = await twoImages(t);
  await store.tag({ source: a, target: 'x:1' });
  await store.tag({ source: a, target: 'x:1' });
  await store.tag({ source: b, target: 'x:1' });
  t.deepEqual([store.references(a), store.references(b)], [[], [X]]);
  const events = await eventsOf(store, { from: 3 });
  t.deepEqual(
    events.map((event) => event.type === 'ReferenceSet' && [event.image, event.previous]),
    [
      [a, undefined],
      [b, a],
    ],
  );
});

test('a tag that may not be moved is not, and the same image is not a move', async (t) => {
  const store = await twoImages(t);
  await store.tag({ source: a, target: 'x:1' }, { overwrite: false });
  await store.tag({ source: a, target: 'x:1' }, { overwrite: false });
  const error = await rejection(t, 'REFERENCE_EXISTS', store.tag({ source: b, target: 'x:1' }, { overwrite: false }));
  t.deepEqual(error.data, { reference: X, image: a, wanted: b });
  t.is(store.resolve('x:1'), a);
});

test('a reference by digest names the image itself or nothing', async (t) => {
  const store = await twoImages(t);
  const byDigest = `docker.io/library/x@${a}`;
  await store.tag({ source: a, target: byDigest });
  t.is(store.resolve(`x:ignored@${a}`), a);
  t.deepEqual(store.references(a), [byDigest]);
  await rejection(t, 'REFERENCE_INVALID', store.tag({ source: b, target: byDigest }));
  await store.untag(byDigest);
  t.deepEqual(store.references(a), []);
});

test('what is not there is not found, and what is not a reference is refused', async (t) => {
  const store = await twoImages(t);
  await rejection(t, 'IMAGE_NOT_FOUND', store.tag({ source: idNamed('nobody'), target: 'x:1' }));
  await rejection(t, 'REFERENCE_NOT_FOUND', store.untag('x:1'));
  storeError(t, 'REFERENCE_NOT_FOUND', () => store.resolve('x:1'));
  await rejection(t, 'REFERENCE_INVALID', store.tag({ source: a, target: 'UPPER' }));
  const reversed = await rejection(t, 'REFERENCE_INVALID', store.tag({ source: 'x:1', target: a }));
  t.regex(reversed.message, /is a digest, and the target of a tag must be a name: are source and target reversed\?$/);
  await rejection(t, 'REFERENCE_INVALID', store.untag(''));
  storeError(t, 'REFERENCE_INVALID', () => store.resolve('x:1:2'));
  t.is(store.log.head.seq, 2);
});

test('an untagged name is free again, and its event says what it pointed at', async (t) => {
  const store = await twoImages(t);
  await store.tag({ source: a, target: 'x:1' });
  await store.untag('x:1');
  storeError(t, 'REFERENCE_NOT_FOUND', () => store.resolve('x:1'));
  await store.tag({ source: b, target: 'x:1' }, { overwrite: false });
  const [removed] = await eventsOf(store, { from: 4, limit: 1 });
  t.like(removed, { type: 'ReferenceRemoved', reference: X, image: a });
});
