import test from 'ava';
import { MAX_GROUP_BYTES, MAX_GROUP_EVENTS } from '../../src/limits.js';
import { StoreError } from '../../src/errors.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { eventsOf, openFailingStore } from '../support/test-store.js';

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `image ${at}`);

test('64 creates of one turn cost one write', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await Promise.all(names(64).map((name) => store.create(imageConfig(name))));
  t.is(databases.batches, 1);
  t.is(store.len(), 64);
});

test('a group ends at MAX_GROUP_EVENTS, and what waits goes into the next', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const configs = Array.from({ length: MAX_GROUP_EVENTS + 1 }, (_, at) => imageConfig(`event ${at}`));
  await Promise.all(configs.map((config) => store.create(config)));
  t.is(databases.batches, 2);
  t.is(store.len(), MAX_GROUP_EVENTS + 1);
});

test('a group ends at MAX_GROUP_BYTES of records and content', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const large = Math.ceil(MAX_GROUP_BYTES / 8);
  const configs = Array.from({ length: 9 }, (_, at) => imageConfig(`${at}${'x'.repeat(large)}`));
  await Promise.all(configs.map((config) => store.create(config)));
  t.is(databases.batches, 2);
});

test('creates that come during a write wait for the next one together', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const first = store.create(imageConfig('first'));
  await Promise.resolve();
  await Promise.resolve();
  await Promise.all([first, ...names(64).map((name) => store.create(imageConfig(name)))]);
  t.true(databases.batches <= 2, `${databases.batches} writes`);
});

test('what is not durable is not seen', async (t) => {
  const { store } = await openFailingStore(t);
  const created = store.create(imageConfig('a'));
  t.is(store.len(), 0);
  // Decided and being written.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  t.is(store.len(), 0);
  t.is(store.log.head.seq, 0);
  t.deepEqual(await eventsOf(store), []);
  t.throws(() => store.get(idNamed('a')), { instanceOf: StoreError });
  await created;
  t.is(store.len(), 1);
  t.is(store.log.head.seq, 1);
});

test('a refused command writes nothing, and those around it are written', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const [first, refused, invalid, last] = await Promise.allSettled([
    store.create(imageConfig('a')),
    store.delete(idNamed('nobody')),
    store.create(imageConfig('b', ['sha256:no'])),
    store.create(imageConfig('c')),
  ]);
  t.deepEqual(
    [first.status, refused.status, invalid.status, last.status],
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  );
  t.is(databases.batches, 1);
  t.deepEqual(
    (await eventsOf(store)).map(({ seq, type }) => `${seq} ${type}`),
    ['1 ImageCreated', '2 ImageCreated'],
  );
});

test('a command that changes nothing writes nothing', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const id = await store.create(imageConfig('a'));
  t.is(await store.create(imageConfig('a')), id);
  t.is(databases.batches, 1);
});

test('the events of a command share a transaction, and those of its neighbours in a group have their own', async (t) => {
  const { store } = await openFailingStore(t);
  for (const name of ['a', 'b', 'c', 'd']) await store.create(imageConfig(name));
  await store.setParent(idNamed('b'), idNamed('a'));
  await store.tag({ source: idNamed('a'), target: 'x:1' });
  await Promise.all([store.delete(idNamed('a')), store.setBuiltLocally(idNamed('c')), store.delete(idNamed('d'))]);
  const events = await eventsOf(store, { from: 7 });
  t.deepEqual(
    events.map(({ type, transaction }) => [type, transaction.first, transaction.count]),
    [
      ['ParentCleared', 7, 3],
      ['ReferenceRemoved', 7, 3],
      ['ImageDeleted', 7, 3],
      ['MetadataSet', 10, 1],
      ['ImageDeleted', 11, 1],
    ],
  );
});

test('time never goes back, even if the clock does', async (t) => {
  const times = [5_000.7, 3_000, 9_000, 0, 0.4, 9_001];
  const { store } = await openFailingStore(t, () => times.shift() ?? 9_001);
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await store.create(imageConfig(name));
  t.deepEqual(
    (await eventsOf(store)).map(({ time }) => time),
    [5_000, 5_000, 9_000, 9_000, 9_000, 9_001],
  );
  t.is(store.log.head.time, 9_001);
});

test('a clock that gives no time fails the command and not the store', async (t) => {
  const times = [Number.NaN, Number.POSITIVE_INFINITY];
  const { store } = await openFailingStore(t, () => times.shift() ?? 1);
  await t.throwsAsync(store.create(imageConfig('a')), { instanceOf: RangeError });
  await t.throwsAsync(store.create(imageConfig('a')), { instanceOf: RangeError });
  await store.create(imageConfig('a'));
  t.is(store.log.head.seq, 1);
});

test('a lost write fails each command of its group with what survived, and those that waited continue', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await store.create(imageConfig('before'));
  databases.fates.push('lost');
  const doomed = ['a', 'b'].map((name) => store.create(imageConfig(name)));
  // It reads what the doomed group changes, so it waits for the next one.
  const waiting = rejection(t, 'IMAGE_NOT_FOUND', store.delete(idNamed('a')));
  for (const create of doomed) {
    const error = await rejection(t, 'OUTCOME_UNKNOWN', create);
    t.deepEqual(error.data, { events: 2, survived: 0 });
  }
  await waiting;
  t.is(store.len(), 1);
  await store.create(imageConfig('after'));
  t.deepEqual(
    (await eventsOf(store)).map(({ seq }) => seq),
    [1, 2],
  );
});

test('a write that happened anyway is reported as survived, and is seen', async (t) => {
  const { store, databases } = await openFailingStore(t);
  databases.fates.push('unsure');
  const seen: number[] = [];
  store.log.events$.subscribe(({ seq }) => seen.push(seq));
  const doomed = ['a', 'b'].map((name) => store.create(imageConfig(name)));
  const waiting = store.delete(idNamed('a'));
  for (const create of doomed) {
    t.deepEqual((await rejection(t, 'OUTCOME_UNKNOWN', create)).data, { events: 2, survived: 2 });
  }
  t.deepEqual(await waiting, []);
  t.deepEqual([...store.map().keys()], [idNamed('b')]);
  t.deepEqual(seen, [1, 2, 3]);
});

test('a log that cannot be reopened refuses every later write and still answers from its views', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const id = await store.create(imageConfig('before'));
  databases.fates.push('lost');
  databases.failingOpens = 1;
  const doomed = store.create(imageConfig('a'));
  const waiting = rejection(t, 'LOG_FAILED', store.delete(idNamed('a')));
  t.deepEqual((await rejection(t, 'OUTCOME_UNKNOWN', doomed)).data, { events: 1, survived: undefined });
  await waiting;
  await rejection(t, 'LOG_FAILED', store.create(imageConfig('later')));
  t.is(store.len(), 1);
  t.is(store.search(id), id);
  t.throws(() => store.get(id), { instanceOf: StoreError, code: 'LOG_FAILED' });
});
