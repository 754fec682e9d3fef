import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { formatPosition, positionKey } from '../../../src/log/rows.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { PASSED_EVENTS_PER_WRITE } from '../../../src/store/consumers/consumer.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { openFailingStore, openTestStore } from '../../support/test-store.js';
import { tamper } from '../../support/test-log.js';
import { leaveDamaged, reopened, temporaryStore } from '../temporary-store.js';
import { handle, seqsOf, take } from './taking.js';

async function create(store: EventStore, count: number, prefix = ''): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => store.create(imageConfig(`${prefix}${at}`))));
}

/** The position of a consumer that is written in the database. */
async function writtenOf(store: EventStore, name: string): Promise<number | undefined> {
  const again = await openStore(store.directory, { readOnly: true });
  const state = (await again.consumers()).find((each) => each.name === name);
  await again.close();
  return state?.position;
}

test('acknowledgements of one turn cost one sync, together with the commands of others', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await create(store, 100);
  const [one, two] = [store.consumer('one'), store.consumer('two')];
  const [ofOne, ofTwo] = [await take(one, 100), await take(two, 100)];
  const image = await store.create(imageConfig('tagged'));
  const before = databases.batches;
  await Promise.all([
    ...ofOne.map((event) => one.ack(event)),
    ...ofTwo.map((event) => two.ack(event)),
    store.tag({ source: image, target: 'x:1' }),
  ]);
  t.is(databases.batches, before + 1);
  t.deepEqual([one.position, two.position], [100, 100]);
});

test('a consumer whose filter matches nothing moves on, and that is written every so many events', async (t) => {
  t.is(PASSED_EVENTS_PER_WRITE, 1_000);
  let now = 1;
  const { store } = await openFailingStore(t, () => now);
  const consumer = store.consumer('c', { filter: { reference: 'never:1' } });
  const waiting = take(consumer, 1);
  const writtenAt = async (): Promise<number | undefined> => (await store.consumers())[0]?.updatedAt;
  await create(store, PASSED_EVENTS_PER_WRITE - 1);
  t.is(consumer.position, PASSED_EVENTS_PER_WRITE - 1);
  t.is(await writtenAt(), undefined);
  now = 2;
  await create(store, 1, 'x');
  // Comes after the position, which waits in the same queue.
  await create(store, 1, 'y');
  t.is(await writtenAt(), 2);
  now = 3;
  await create(store, PASSED_EVENTS_PER_WRITE - 2, 'z');
  t.is(await writtenAt(), 2);
  await create(store, 1, 'u');
  await create(store, 1, 'v');
  await create(store, 1, 'w');
  t.is(await writtenAt(), 3);
  now = 4;
  await consumer.close();
  t.is(await writtenAt(), 4);
  t.deepEqual(await waiting, []);
  t.is(store.consumer('c').position, 2 * PASSED_EVENTS_PER_WRITE + 2);
});

test('a consumer that skips a long past writes its position on the way', async (t) => {
  const store = await temporaryStore(t, { layers: 'none' });
  await create(store, 2 * PASSED_EVENTS_PER_WRITE);
  await store.create(imageConfig('last'), { actor: 'wanted' });
  const consumer = store.consumer('c', { filter: { type: 'ImageCreated', since: 0, actor: ['wanted', 'nobody'] } });
  const [wanted] = (await take(consumer, 1)) as [StoredEvent];
  t.is(consumer.position, wanted.seq - 1);
  const waiting = take(consumer, 1);
  await consumer.caughtUp();
  // The event that waits holds the position back, with any number skipped after it.
  await create(store, 2 * PASSED_EVENTS_PER_WRITE, 'x');
  t.is(consumer.position, wanted.seq - 1);
  await store.close();
  t.deepEqual(await waiting, []);
  t.is(await writtenOf(store, 'c'), wanted.seq - 1);
});

test('what was skipped after the last acknowledged event is written when the store is closed', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'), { actor: 'wanted' });
  const consumer = store.consumer('c', { filter: { actor: 'wanted' } });
  t.deepEqual(await handle(consumer, 1), [1]);
  const waiting = take(consumer, 1);
  await create(store, 5);
  await store.close();
  await waiting;
  t.is(await writtenOf(store, 'c'), 6);
});

test('an acknowledgement that fails leaves the event waiting, and the position where it was', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await create(store, 4);
  for (const fate of ['lost', 'unsure'] as const) {
    const consumer = store.consumer(fate);
    const [one, two, three] = (await take(consumer, 3)) as [StoredEvent, StoredEvent, StoredEvent];
    databases.fates.push(fate);
    await Promise.all([
      rejection(t, 'OUTCOME_UNKNOWN', consumer.ack(one)),
      rejection(t, 'OUTCOME_UNKNOWN', consumer.ack(two)),
    ]);
    t.is(consumer.position, 0);
    await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(three));
    await consumer.ack(one);
    t.is(consumer.position, 2);
    await consumer.ack(three);
    t.is(consumer.position, 3);
    await consumer.close();
    t.deepEqual(await handle(store.consumer(fate), 1), [4]);
  }
});

test('a batch whose acknowledgement fails waits whole', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await create(store, 4);
  const consumer = store.consumer('batch');
  const three = (await take(consumer, 3)).at(-1) as StoredEvent;
  databases.fates.push('lost');
  await rejection(t, 'OUTCOME_UNKNOWN', consumer.ackThrough(three));
  t.is(consumer.position, 0);
  await consumer.ackThrough(three);
  t.is(consumer.position, 3);
  await consumer.close();
});

test('the name of a consumer whose position cannot be written is free again', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await create(store, 2);
  const consumer = store.consumer('c', { filter: { actor: 'nobody' } });
  const waiting = take(consumer, 1);
  await consumer.caughtUp();
  databases.fates.push('lost');
  await rejection(t, 'OUTCOME_UNKNOWN', consumer.close());
  await waiting;
  t.is(store.consumer('c').position, 0);
});

test('consumers that have a position or are held are listed, sorted by name', async (t) => {
  let now = 1_000;
  const store = await temporaryStore(t, { now: () => now });
  await create(store, 4);
  now = 2_000;
  const b = store.consumer('b');
  await handle(b, 3);
  const c = store.consumer('c', { from: 3 });
  const a = store.consumer('a');
  now = 3_000;
  await handle(a, 1);
  await a.close();
  const expected = [
    { name: 'a', position: 1, behind: 3, updatedAt: 3_000, held: false },
    { name: 'b', position: 3, behind: 1, updatedAt: 2_000, held: true },
    { name: 'c', position: 2, behind: 2, updatedAt: undefined, held: true },
  ];
  t.deepEqual(await store.consumers(), expected);
  await c.close();
  await store.close();
  const reader = await openStore(store.directory, { readOnly: true });
  const again = await reader.consumers();
  t.deepEqual(
    again.map(({ name, position, held }) => [name, position, held]),
    [
      ['a', 1, false],
      ['b', 3, false],
      ['c', 2, false],
    ],
  );
  storeError(t, 'STORE_READ_ONLY', () => reader.consumer('a'));
  await reader.close();
});

test('a consumer that nobody holds can be reset and removed, durably', async (t) => {
  const store = await temporaryStore(t);
  await create(store, 4);
  const consumer = store.consumer('c');
  await handle(consumer, 3);
  await consumer.close();
  await store.resetConsumer('c', 1);
  const again = await reopened(t, store);
  const reset = again.consumer('c');
  t.deepEqual(await handle(reset, 1), [2]);
  await reset.close();
  await again.resetConsumer('c', 4);
  t.is((await again.consumers())[0]?.behind, 0);
  await again.resetConsumer('c', 0);
  t.deepEqual(seqsOf(await take(again.consumer('c'), 1)), [1]);
  await again.consumer('gone').close();
  await again.removeConsumer('gone');
  t.deepEqual(
    (await again.consumers()).map(({ name }) => name),
    ['c'],
  );
  const last = await reopened(t, again);
  t.deepEqual(
    (await last.consumers()).map(({ name }) => name),
    ['c'],
  );
});

test('a reset is refused for a consumer that is not there, and beyond the head', async (t) => {
  const store = await openTestStore(t);
  await create(store, 2);
  await rejection(t, 'CONSUMER_NOT_FOUND', store.resetConsumer('c', 0));
  await rejection(t, 'CONSUMER_NOT_FOUND', store.removeConsumer('c'));
  await store.consumer('c').close();
  const error = await rejection(t, 'TIME_OUT_OF_RANGE', store.resetConsumer('c', 3));
  t.regex(error.message, /to 3: the head is 2/);
  await t.throwsAsync(store.resetConsumer('c', 1.5), { instanceOf: RangeError, message: /^position / });
  await t.throwsAsync(store.resetConsumer('c', undefined as never), { instanceOf: RangeError, message: /^position / });
});

test('a consumer cannot be taken while it is reset or removed', async (t) => {
  const store = await openTestStore(t);
  await create(store, 2);
  await store.consumer('c').close();
  for (const change of [() => store.resetConsumer('c', 1), () => store.removeConsumer('c')]) {
    const changing = change();
    storeError(t, 'CONSUMER_TAKEN', () => store.consumer('c'));
    await rejection(t, 'CONSUMER_TAKEN', store.removeConsumer('c'));
    await changing;
  }
  t.is(store.consumer('c').position, 0);
});

async function withPosition(t: ExecutionContext, row: Uint8Array): Promise<EventStore> {
  const store = await temporaryStore(t);
  await create(store, 2);
  await store.close();
  await tamper(join(store.directory, 'log'), (database) => database.put(positionKey('c'), row));
  return reopened(t, store);
}

test('a position beyond the head is damage, and a reset repairs it', async (t) => {
  const store = await withPosition(t, formatPosition({ seq: 3, time: 1 }));
  const error = storeError(t, 'LOG_CORRUPT', () => store.consumer('c'));
  t.regex(error.message, /consumer c is at position 3, and the log ends at 2/);
  await rejection(t, 'LOG_CORRUPT', store.consumers());
  await store.resetConsumer('c', 1);
  t.deepEqual(await handle(store.consumer('c'), 1), [2]);
});

test('a row that is not a position is damage', async (t) => {
  const store = await withPosition(t, Uint8Array.of(0xc1));
  storeError(t, 'LOG_CORRUPT', () => store.consumer('c'));
  await rejection(t, 'LOG_CORRUPT', store.consumers());
  leaveDamaged(store, 'POSITION_DAMAGED');
});
