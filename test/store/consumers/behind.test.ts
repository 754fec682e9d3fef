import test, { type ExecutionContext } from 'ava';
import { MAX_COUNTED_EVENTS, MAX_KEPT_FILTER_BYTES } from '../../../src/limits.js';
import { formatPosition, positionKey } from '../../../src/log/rows.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { tamper } from '../../support/test-log.js';
import { openTestStore } from '../../support/test-store.js';
import { leaveDamaged, reopened, temporaryStore } from '../temporary-store.js';
import { handle } from './taking.js';

/** Name, position and behind of each consumer, as another process has them. */
async function statesOf(store: EventStore): Promise<unknown[]> {
  const reader = await openStore(store.directory, { readOnly: true });
  const states = await reader.consumers();
  await reader.close();
  return states.map(({ name, position, behind, atLeast = false }) => [name, position, behind, atLeast]);
}

/** A store with events 1 to 8: images a and b, x:1 moved three times by ann, and y:1, z:1, z:2 by ben. */
async function storeOfNames(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  for (const name of ['a', 'b', 'a']) await store.tag({ source: idNamed(name), target: 'x:1' }, { actor: 'ann' });
  for (const name of ['y:1', 'z:1', 'z:2']) await store.tag({ source: idNamed('a'), target: name }, { actor: 'ben' });
  return store;
}

test('a consumer is behind by the events that pass its filter, open or closed, and after a reset', async (t) => {
  const store = await storeOfNames(t);
  const filters = {
    all: undefined,
    ann: { actor: 'ann' },
    images: { type: 'ImageCreated' },
    names: { reference: ['x:1', 'z:1'] },
  } as const;
  const consumers = Object.entries(filters).map(([name, filter]) => store.consumer(name, { filter }));
  const open = (await store.consumers()).map(({ name, behind }) => [name, behind]);
  t.deepEqual(open, [
    ['all', 8],
    ['ann', 3],
    ['images', 2],
    ['names', 4],
  ]);
  for (const consumer of consumers) await handle(consumer, 1);
  for (const consumer of consumers) await consumer.close();
  const closed = [
    ['all', 1, 7, false],
    ['ann', 3, 2, false],
    ['images', 1, 1, false],
    ['names', 3, 3, false],
  ];
  t.deepEqual(await statesOf(store), closed);
  await store.resetConsumer('names', 0);
  t.deepEqual((await statesOf(store))[3], ['names', 0, 4, false]);
  t.deepEqual(await store.verify(), []);
  // Without its filter the next one of the name is given the rest of the log.
  const again = await reopened(t, store);
  const names = again.consumer('names');
  await handle(names, 1);
  await names.close();
  t.deepEqual((await statesOf(again))[3], ['names', 1, 7, false]);
});

test(`beyond ${MAX_COUNTED_EVENTS} events the count is a lower bound`, async (t) => {
  const store = await openTestStore(t);
  const id = await store.create(imageConfig('a'));
  const value = new Uint8Array(1);
  const set = (): Promise<unknown> => store.setMetadata(id, 'k', value, { actor: 'ann' });
  await Promise.all(Array.from({ length: MAX_COUNTED_EVENTS }, set));
  await store.tag({ source: id, target: 'x:1' }, { actor: 'ann' });
  const filters = {
    all: { since: 0 },
    indexed: { actor: 'ann' },
    name: { reference: 'x:1' },
    scanned: { type: 'ReferenceSet' },
  } as const;
  for (const [name, filter] of Object.entries(filters)) store.consumer(name, { filter });
  const states = (await store.consumers()).map(({ name, behind, atLeast }) => [name, behind, atLeast]);
  t.deepEqual(states, [
    ['all', MAX_COUNTED_EVENTS, true],
    ['indexed', MAX_COUNTED_EVENTS, true],
    ['name', 1, undefined],
    ['scanned', 0, true],
  ]);
});

test('a filter that is too large is not kept, with a notice', async (t) => {
  const notices: string[] = [];
  const store = await openTestStore(t, { onNotice: (notice) => void notices.push(notice) });
  await store.create(imageConfig('a'), { actor: 'x' });
  await store.create(imageConfig('b'), { actor: 'y' });
  const consumer = store.consumer('c', { filter: { actor: ['x', 'y'.repeat(MAX_KEPT_FILTER_BYTES)] } });
  t.regex(notices.join(), /^the filter of the consumer c has 16\d+ bytes and is not kept with its position/);
  await handle(consumer, 1);
  t.like(await store.consumers(), [{ behind: 0 }]);
  await consumer.close();
  t.like(await store.consumers(), [{ behind: 1 }]);
});

test('a kept filter that is damaged is reported', async (t) => {
  const damaged = [
    '{',
    '[1',
    '{"type":"Nothing"}',
    'null',
    '{"reference":"*["}',
    '{"requestId":1}',
    '{"reasonIncludes":[]}',
  ];
  for (const filter of damaged) {
    const store = await temporaryStore(t);
    await store.create(imageConfig('a'));
    await store.close();
    leaveDamaged(store, 'POSITION_DAMAGED');
    await tamper(`${store.directory}/log`, (database) =>
      database.put(positionKey('c'), formatPosition({ seq: 1, time: 1, filter })),
    );
    const again = await openStore(store.directory, { readOnly: true });
    const error = await rejection(t, 'LOG_CORRUPT', again.consumers());
    t.regex(error.message, /the filter kept with the position of the consumer c is damaged/);
    t.like(await again.verify(), [{ code: 'POSITION_DAMAGED', place: 'consumer c' }]);
    await again.close();
  }
});

test('a consumer of a pattern or of words is behind by what they fit, and tells its filter', async (t) => {
  const store = await storeOfNames(t);
  await store.untag('x:1', { reason: 'not Wanted', requestId: 'T-1' });
  const filters = {
    pattern: { reference: ['z:?', 'x*'], actor: ['ann', 'ben', 'tester'] },
    request: { requestId: 'T-1' },
    words: { reasonIncludes: ['wanted', 'else'], type: 'ReferenceRemoved' },
  } as const;
  const behind = { pattern: 6, request: 1, words: 1 };
  const changed = { reference: ['y:1'] };
  const copied = store.consumer('copied', { filter: changed });
  changed.reference[0] = 'z:1';
  const consumers = Object.entries(filters).map(([name, filter]) => store.consumer(name, { filter }));
  const expected = [
    ['copied', 1, { reference: ['y:1'] }],
    ...Object.entries(filters).map(([name, filter]) => [name, behind[name as keyof typeof behind], filter]),
  ];
  const seen = async (of: EventStore): Promise<unknown> =>
    (await of.consumers()).map(({ name, behind: count, filter }) => [name, count, filter]);
  t.deepEqual(await seen(store), expected);
  await handle(copied, 1);
  for (const consumer of consumers) await handle(consumer, 1);
  for (const consumer of [copied, ...consumers]) await consumer.close();
  const again = await reopened(t, store);
  const after = expected.map(([name, count, filter]) => [name, Number(count) - 1, filter]);
  t.deepEqual(await seen(again), after, 'the filters were kept');
  for (const { filter, position, behind: count } of await again.consumers()) {
    const seqs: number[] = [];
    for await (const { seq } of again.log.read({ from: position + 1, filter })) seqs.push(seq);
    t.is(seqs.length, count);
  }
  storeError(t, 'FILTER_INVALID', () => again.consumer('bad', { filter: { reference: 'shop/[' } }));
});

test('a filter that an earlier version kept means what it meant', async (t) => {
  const store = await storeOfNames(t);
  await store.close();
  const kept = '{"reference":["x:1","docker.io/library/z:1"],"actor":"ann","since":0}';
  await tamper(`${store.directory}/log`, (database) =>
    database.put(positionKey('c'), formatPosition({ seq: 3, time: 1, filter: kept })),
  );
  const again = await openStore(store.directory);
  t.like(await again.consumers(), [{ name: 'c', position: 3, behind: 2, filter: JSON.parse(kept) }]);
  t.deepEqual(await again.verify(), []);
  await again.close();
});

test('the filter that a consumer tells has times that stay, and nobody can change it', async (t) => {
  let now = 1_000_000;
  const store = await temporaryStore(t, { now: () => now });
  await store.create(imageConfig('a'));
  const filter = { since: '1s', until: new Date(5_000_000), reference: ['x:*'] };
  const consumer = store.consumer('c', { filter });
  const all = store.consumer('every', { filter: {} });
  now += 10_000;
  const expected = { since: 999_000, until: 5_000_000, reference: ['x:*'] };
  const told = (await store.consumers())[0]?.filter as typeof expected;
  t.deepEqual(told, expected);
  t.throws(() => told.reference.push('y:1'), { instanceOf: TypeError });
  await store.tag({ source: idNamed('a'), target: 'x:1' });
  await handle(consumer, 1);
  await consumer.close();
  await handle(all, 1);
  await all.close();
  t.like(await store.consumers(), [
    { name: 'c', filter: expected },
    { name: 'every', filter: undefined },
  ]);
});

test('a kept filter of a later version is not called damaged', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  await store.close();
  leaveDamaged(store, 'POSITION_DAMAGED');
  await tamper(`${store.directory}/log`, (database) =>
    database.put(positionKey('c'), formatPosition({ seq: 1, time: 1, filter: '{"actor":"a","host":"h"}' })),
  );
  const again = await openStore(store.directory, { readOnly: true });
  const { message } = await rejection(t, 'STORE_FORMAT_UNSUPPORTED', again.consumers());
  t.is(message, 'the consumer c has a filter on host, which a newer version of imagelog wrote');
  await again.close();
});
