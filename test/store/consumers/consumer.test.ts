import test, { type ExecutionContext } from 'ava';
import { MAX_UNACKNOWLEDGED_EVENTS } from '../../../src/limits.js';
import type { StoredEvent } from '../../../src/model/events.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { reopened, temporaryStore } from '../temporary-store.js';
import { handle, seqsOf, take } from './taking.js';

/** A store of `count` events. */
async function storeOf(t: ExecutionContext, count: number): Promise<EventStore> {
  const store = await openTestStore(t);
  await Promise.all(Array.from({ length: count }, (_, at) => store.create(imageConfig(`${at}`))));
  return store;
}

const last = (events: readonly StoredEvent[]): StoredEvent => events.at(-1) as StoredEvent;

test('a consumer continues where the one before it of the name acknowledged, in this process and in the next', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await store.create(imageConfig(name));
  const first = store.consumer('mirror');
  t.deepEqual(await handle(first, 2), [1, 2]);
  t.deepEqual(seqsOf(await take(first, 2)), [3, 4]);
  t.is(first.position, 2);
  await first.close();
  const second = store.consumer('mirror');
  t.is(second.position, 2);
  t.deepEqual(await handle(second, 1), [3]);
  t.deepEqual(seqsOf(await take(second, 2)), [4, 5]);
  const again = await reopened(t, store);
  const third = again.consumer('mirror');
  t.is(third.position, 3);
  t.deepEqual(await handle(third, 2), [4, 5]);
});

test('a consumer begins at the first event or where it is told, and then only where it left off', async (t) => {
  const store = await storeOf(t, 4);
  t.deepEqual(await handle(store.consumer('all'), 1), [1]);
  const late = store.consumer('late', { from: 3 });
  t.is(late.position, 2);
  await late.close();
  // Its position is kept although nothing was acknowledged.
  const again = store.consumer('late', { from: 1 });
  t.deepEqual(await handle(again, 1), [3]);
  await again.close();
  t.deepEqual(await handle(store.consumer('late', { from: 1 }), 1), [4]);
});

test('a consumer of the future begins there, and has no position before', async (t) => {
  const store = await storeOf(t, 1);
  const future = store.consumer('future', { from: 3 });
  await future.close();
  t.deepEqual(await store.consumers(), []);
  await using again = store.consumer('future', { from: 3 });
  const taken = take(again, 1);
  await store.create(imageConfig('b'));
  await store.create(imageConfig('c'));
  t.deepEqual(seqsOf(await taken), [3]);
});

test('an iteration that ends neither acknowledges nor releases the name, and the next one delivers its events again', async (t) => {
  const store = await storeOf(t, 4);
  const consumer = store.consumer('c');
  for await (const { seq } of consumer) if (seq === 2) break;
  storeError(t, 'CONSUMER_TAKEN', () => store.consumer('c'));
  t.is(consumer.position, 0);
  const events: StoredEvent[] = [];
  for await (const event of consumer) if (events.push(event) === 4) break;
  t.deepEqual(seqsOf(events), [1, 2, 3, 4]);
  for (const event of events) await consumer.ack(event);
  t.is(consumer.position, 4);
});

test('after an error in a handler a new iteration begins at the event, and the error of a later ack names it', async (t) => {
  const store = await storeOf(t, 6);
  const consumer = store.consumer('deployer');
  const handling = async (): Promise<void> => {
    for await (const event of consumer) {
      if (event.seq === 3) throw new Error('handler');
      await consumer.ack(event);
    }
  };
  await t.throwsAsync(handling(), { message: 'handler' });
  const four = (await eventsOf(store))[3] as StoredEvent;
  await rejection(t, 'ACK_FOREIGN', consumer.ack(four));
  const again = await take(consumer, 2);
  t.deepEqual(seqsOf(again), [3, 4]);
  const error = await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(four));
  t.is(
    error.message,
    'the consumer deployer cannot acknowledge event 4: event 3 was delivered before and is not acknowledged, ' +
      'as after an error in the code that handles it. A new iteration begins at event 3',
  );
  t.like(error.data, { name: 'deployer', seq: 4, expected: 3 });
  for (const event of again) await consumer.ack(event);
  t.deepEqual(await handle(consumer, 2), [5, 6]);
  t.is(consumer.position, 6);
});

test('what is acknowledged while it is delivered again is skipped, and the position never goes back', async (t) => {
  const store = await storeOf(t, 6);
  const consumer = store.consumer('c', { filter: { type: 'ImageCreated' } });
  const first: StoredEvent[] = [];
  for await (const event of consumer) if (first.push(event) === 4) break;
  const events = consumer[Symbol.asyncIterator]();
  t.is((await events.next()).value?.seq, 1);
  for (const event of first.slice(0, 3)) await consumer.ack(event);
  t.is(consumer.position, 3);
  t.is((await events.next()).value?.seq, 4, 'events 2 and 3 were acknowledged meanwhile');
  await events.return?.();
  await consumer.ack(first[3] as StoredEvent);
  t.is(consumer.position, 4);
  t.deepEqual(await handle(consumer, 2), [5, 6]);
  await consumer.close();
  t.is(store.consumer('c').position, 6);
});

test('events are acknowledged in the order in which they were given, none left out and none twice', async (t) => {
  const store = await storeOf(t, 4);
  const consumer = store.consumer('c');
  const [one, two, three] = (await take(consumer, 3)) as [StoredEvent, StoredEvent, StoredEvent];
  const error = await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(two));
  t.regex(error.message, /event 2: event 1 was delivered before and is not acknowledged/);
  await consumer.ack(one);
  t.regex((await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(one))).message, /event 1: it is acknowledged already/);
  const acks = [consumer.ack(two), rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(two)), consumer.ack(three)];
  await Promise.all(acks);
  await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ack(three));
  t.is(consumer.position, 3);
});

test('a batch is acknowledged with its last event, in one write', async (t) => {
  const store = await storeOf(t, 6);
  const consumer = store.consumer('c');
  const events = await take(consumer, 5);
  const [one, two, three, , five] = events as [StoredEvent, StoredEvent, StoredEvent, StoredEvent, StoredEvent];
  await consumer.ackThrough(three);
  t.is(consumer.position, 3);
  for (const done of [one, two, three]) {
    const { message } = await rejection(t, 'ACK_OUT_OF_ORDER', consumer.ackThrough(done));
    t.regex(message, /it is acknowledged already/);
  }
  await rejection(t, 'ACK_FOREIGN', consumer.ackThrough(last(await eventsOf(store))));
  await t.throwsAsync(consumer.ackThrough(null as never), { instanceOf: TypeError });
  await consumer.ackThrough(structuredClone(five));
  await consumer.close();
  await rejection(t, 'CONSUMER_CLOSED', consumer.ackThrough(five));
  t.deepEqual(await handle(store.consumer('c'), 1), [6]);
});

test('after an error in the handler of a batch a new iteration begins at its first event', async (t) => {
  const store = await storeOf(t, 5);
  await using consumer = store.consumer('c');
  const seen: number[] = [];
  const run = async (failsAt: number): Promise<void> => {
    let batch: StoredEvent[] = [];
    for await (const event of consumer) {
      seen.push(event.seq);
      batch.push(event);
      if (event.seq === failsAt) throw new Error('the handler failed');
      if (batch.length < 2 && event.seq < 5) continue;
      await consumer.ackThrough(event);
      batch = [];
      if (event.seq === 5) return;
    }
  };
  await t.throwsAsync(run(4), { message: 'the handler failed' });
  t.is(consumer.position, 2);
  await run(0);
  t.deepEqual(seen, [1, 2, 3, 4, 3, 4, 5]);
  t.is(consumer.position, 5);
});

test('an event that the consumer did not give is refused, and a copy of one that it gave is not', async (t) => {
  const store = await storeOf(t, 6);
  const elsewhere = await openTestStore(t);
  await elsewhere.create(imageConfig('elsewhere'));
  const consumer = store.consumer('c', { from: 2, filter: { type: 'ImageCreated' } });
  const [two] = (await take(consumer, 1)) as [StoredEvent];
  const all = await eventsOf(store);
  const foreign: readonly [string, unknown][] = [
    ['another store', { ...last(await eventsOf(elsewhere)), seq: 2 }],
    ['not given yet', all[2]],
    ['before its beginning', all[0]],
    ['beyond the head', { ...two, seq: 99 }],
    ['no seq', { ...two, seq: 2.5 }],
    ['another actor', { ...two, actor: 'eve' }],
    ['no event', { seq: 2 }],
    ['nothing', {}],
  ];
  for (const [what, event] of foreign) {
    await rejection(t, 'ACK_FOREIGN', consumer.ack(event as StoredEvent), what);
  }
  await t.throwsAsync(consumer.ack(null as never), { instanceOf: TypeError });
  t.is(consumer.position, 1);
  await consumer.ack(structuredClone(two));
  t.is(consumer.position, 2);
});

test('an event that the filter skipped was not given', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'), { actor: 'ann' });
  await store.create(imageConfig('b'), { actor: 'ben' });
  await store.create(imageConfig('c'), { actor: 'ann' });
  const consumer = store.consumer('c', { filter: { actor: 'ann' } });
  const taken = await take(consumer, 2);
  t.deepEqual(seqsOf(taken), [1, 3]);
  await rejection(t, 'ACK_FOREIGN', consumer.ack((await eventsOf(store))[1] as StoredEvent));
  await consumer.ack(taken[0] as StoredEvent);
  t.is(consumer.position, 2);
});

test(`a consumer that was given ${MAX_UNACKNOWLEDGED_EVENTS} events without an ack is told so, and continues after one`, async (t) => {
  t.is(MAX_UNACKNOWLEDGED_EVENTS, 10_000);
  const store = await openTestStore(t);
  const id = await store.create(imageConfig('a'));
  const write = (): Promise<unknown> => store.setBuiltLocally(id);
  await write();
  await Promise.all(
    Array.from({ length: MAX_UNACKNOWLEDGED_EVENTS }, (_, at) =>
      store.setMetadata(id, 'k', new Uint8Array([at & 255])),
    ),
  );
  const consumer = store.consumer('c');
  const taken: StoredEvent[] = [];
  const iterate = async (): Promise<void> => {
    for await (const event of consumer) taken.push(event);
  };
  const error = await rejection(t, 'ACKS_MISSING', iterate());
  t.is(taken.length, MAX_UNACKNOWLEDGED_EVENTS);
  t.is(error.data.oldest, 1);
  await consumer.ack(taken[0] as StoredEvent);
  t.deepEqual(seqsOf(await take(consumer, 1)), [MAX_UNACKNOWLEDGED_EVENTS + 1]);
  await rejection(t, 'ACKS_MISSING', take(consumer, 1));
});

test('calls of next that wait count as given', async (t) => {
  const store = await openTestStore(t);
  const consumer = store.consumer('c');
  const events = consumer[Symbol.asyncIterator]();
  const waiting = Array.from({ length: MAX_UNACKNOWLEDGED_EVENTS }, () => events.next());
  await rejection(t, 'ACKS_MISSING', events.next());
  await consumer.close();
  t.true((await Promise.all(waiting)).every(({ done }) => done === true));
});

test('a name is held once in a process, and is free when its holder is closed', async (t) => {
  const store = await storeOf(t, 1);
  const consumer = store.consumer('c');
  storeError(t, 'CONSUMER_TAKEN', () => store.consumer('c'));
  await rejection(t, 'CONSUMER_TAKEN', store.resetConsumer('c', 0));
  await rejection(t, 'CONSUMER_TAKEN', store.removeConsumer('c'));
  store.consumer('c@2');
  await consumer[Symbol.asyncDispose]();
  await store.consumer('c').close();
});

test('a closed consumer gives and takes nothing more, and closing it again is the same call', async (t) => {
  const store = await storeOf(t, 2);
  const consumer = store.consumer('c');
  const [one] = (await take(consumer, 2)) as [StoredEvent];
  const waiting = take(consumer, 1);
  t.is(consumer.close(), consumer.close());
  await rejection(t, 'CONSUMER_CLOSED', consumer.ack(one));
  t.deepEqual(await waiting, []);
  await consumer.close();
  await rejection(t, 'CONSUMER_CLOSED', consumer.ack(one));
  await rejection(t, 'CONSUMER_CLOSED', consumer.caughtUp());
  t.deepEqual(await take(consumer, 1), []);
});

test('acks that are in progress when the consumer is closed become durable', async (t) => {
  const store = await storeOf(t, 3);
  const consumer = store.consumer('c');
  const taken = await take(consumer, 3);
  const acks = taken.slice(0, 2).map((event) => consumer.ack(event));
  await consumer.close();
  await Promise.all(acks);
  t.is(store.consumer('c').position, 2);
});

test('a store that is closed ends its consumers and frees their names', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  const [busy, idle] = [store.consumer('busy'), store.consumer('idle')];
  const [one] = (await take(busy, 1)) as [StoredEvent];
  await handle(idle, 1);
  const waiting = take(idle, 1);
  const closing = store.close();
  await rejection(t, 'STORE_CLOSED', busy.ack(one));
  await closing;
  t.deepEqual(await waiting, []);
  t.deepEqual(await take(busy, 1), []);
  await rejection(t, 'STORE_CLOSED', busy.ack(one));
  await t.notThrowsAsync(busy.close());
  const again = await reopened(t, store);
  t.deepEqual(
    (await again.consumers()).map(({ name, position, held }) => ({ name, position, held })),
    [
      { name: 'busy', position: 0, held: false },
      { name: 'idle', position: 1, held: false },
    ],
  );
});

test('a consumer learns when it was given all that was there', async (t) => {
  const store = await storeOf(t, 3);
  const consumer = store.consumer('c', { filter: { type: 'ReferenceSet' } });
  const caughtUp = consumer.caughtUp();
  const waiting = take(consumer, 1);
  await caughtUp;
  t.is(consumer.position, 3);
  const closed = consumer.close();
  await waiting;
  await closed;
});

test('an abort ends the iteration and not the consumer', async (t) => {
  const store = await storeOf(t, 2);
  const controller = new AbortController();
  const consumer = store.consumer('c', { signal: controller.signal });
  const [one] = (await take(consumer, 2)) as [StoredEvent];
  const waiting = rejection(t, 'ABORTED', take(consumer, 1));
  controller.abort();
  await waiting;
  await rejection(t, 'ABORTED', take(consumer, 1));
  await consumer.ack(one);
  t.is(consumer.position, 1);
});
