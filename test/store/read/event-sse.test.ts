import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { eventToJSON } from '../../../src/log/event-json.js';
import { eventStreamResponse, seqAfter, toEventStream } from '../../../src/store/event-stream.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { messagesOf, take } from '../../support/event-source.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';

async function storeOf(t: ExecutionContext, count: number): Promise<EventStore> {
  const store = await openTestStore(t);
  for (let at = 0; at < count; at++) await store.create(imageConfig(`${at}`), { reason: `line\nfeed ${at}\r` });
  return store;
}

/** Waits until no consumer is open: the end of a stream that others read from arrives a little later. */
async function released(store: EventStore): Promise<void> {
  while ((await store.consumers()).some(({ held }) => held)) await delay(1);
}

test('each event is a message with its seq as the id and its JSON as the data', async (t) => {
  const store = await storeOf(t, 3);
  const reader = messagesOf(toEventStream(store.log.follow({ from: 1 })));
  const messages = await take(reader, 3);
  t.deepEqual(
    messages.map(({ id }) => id),
    ['1', '2', '3'],
  );
  t.deepEqual(
    messages.map(({ data }): unknown => JSON.parse(data)),
    (await eventsOf(store)).map((event): unknown => JSON.parse(JSON.stringify(eventToJSON(event)))),
  );
  await store.create(imageConfig('later'));
  t.deepEqual(
    (await take(reader, 1)).map(({ id }) => id),
    ['4'],
  );
  await reader.cancel();
});

test('a stream continues after Last-Event-ID', async (t) => {
  const store = await storeOf(t, 5);
  for (const [lastEventId, ids] of [
    ['3', ['4', '5']],
    ['0', ['1', '2', '3', '4', '5']],
  ] as const) {
    const follower = store.log.follow({ from: seqAfter(lastEventId) });
    const reader = messagesOf(toEventStream(follower, { lastEventId }));
    t.deepEqual(
      (await take(reader, ids.length)).map(({ id }) => id),
      ids,
    );
    await reader.cancel();
  }
  // A follower that begins earlier: what the client has is not sent again.
  const reader = messagesOf(toEventStream(store.log.follow({ from: 1 }), { lastEventId: '4' }));
  t.deepEqual(
    (await take(reader, 1)).map(({ id }) => id),
    ['5'],
  );
  await reader.cancel();
});

test('a follower that begins too late for the client is refused, and what is no seq', async (t) => {
  const store = await storeOf(t, 5);
  const follower = store.log.follow();
  t.throws(() => toEventStream(follower, { lastEventId: '3' }), {
    instanceOf: RangeError,
    message: 'source follows from event 6 on, and the client has no event 4',
  });
  t.notThrows(() => toEventStream(store.log.follow(), { lastEventId: '5' }));
  for (const none of [undefined, null, '']) t.is(seqAfter(none), undefined);
  t.is(seqAfter('0'), 1);
  for (const wrong of ['x', '-1', '1.5', '1e3', ' 1', '99999999999999999', '9007199254740993'])
    t.throws(() => seqAfter(wrong), { instanceOf: RangeError, message: /^lastEventId must be a seq: / });
  for (const heartbeatMs of [0, -1, Number.NaN, 2 ** 31])
    t.throws(() => toEventStream(follower, { heartbeatMs }), { instanceOf: RangeError });
  t.throws(() => toEventStream(follower, { heartBeatMs: 1 } as never), { message: /did you mean heartbeatMs\?/ });
  for (const wrong of [null, {}, [1], 'x', store.log])
    t.throws(() => toEventStream(wrong as never), { instanceOf: TypeError, message: /^source must be / });
  for (const wrong of [5, ['5'], {}]) t.throws(() => seqAfter(wrong as never), { instanceOf: TypeError });
  t.throws(() => toEventStream(store.log.follow(), { heartbeatMs: '9' as never }), { instanceOf: TypeError });
});

test('an id after the head is of another history: it is refused, and acknowledges nothing', async (t) => {
  const store = await storeOf(t, 5);
  const refused = { instanceOf: RangeError, message: 'the client has event 7, and the log ends at event 5' };
  const lastEventId = '7';
  t.throws(() => toEventStream(store.log.follow({ from: seqAfter(lastEventId) }), { lastEventId }), refused);
  t.throws(() => toEventStream(store.consumer('feed'), { lastEventId }), refused);
  await released(store);
  t.is(
    (await store.consumers()).find(({ position }) => position > 0),
    undefined,
  );
  const reader = messagesOf(toEventStream(store.consumer('feed'), { lastEventId: '5' }));
  const next = take(reader, 1);
  await store.create(imageConfig('later'));
  t.deepEqual(
    (await next).map(({ id }) => id),
    ['6'],
  );
  await reader.cancel();
  await released(store);
});

test('a consumer is given back by a call that throws', async (t) => {
  const store = await storeOf(t, 1);
  for (const options of [{ lastEventId: 'x' }, { heartbeatMs: 0 }, { data: 1 }, { hearbeatMs: 1 }]) {
    t.throws(() => eventStreamResponse(store.consumer('feed'), options as never));
    await released(store);
  }
  t.notThrows(() => store.consumer('feed'));
});

test('a source has one stream', async (t) => {
  const store = await storeOf(t, 2);
  const consumer = store.consumer('feed');
  const reader = messagesOf(toEventStream(consumer));
  t.throws(() => toEventStream(consumer), {
    instanceOf: TypeError,
    message: 'source belongs to another stream: each would get some of its events',
  });
  t.throws(() => store.consumer('feed'), { code: 'CONSUMER_TAKEN' });
  t.deepEqual(
    (await take(reader, 2)).map(({ id }) => id),
    ['1', '2'],
  );
  await reader.cancel();
  await released(store);
});

test('data that has no JSON ends the stream, and the consumer still owes the event', async (t) => {
  const store = await storeOf(t, 1);
  for (const [data, message] of [
    [() => undefined, /^data must return what has JSON, found undefined$/],
    [() => () => 1, /^data must return what has JSON, found function$/],
    [async () => ({ seq: 1 }), /^data must return at once, not a promise$/],
    [() => 1n, /BigInt/],
  ] as const) {
    const reader = messagesOf(toEventStream(store.consumer('feed'), { data }));
    await t.throwsAsync(reader.read(), { instanceOf: TypeError, message });
    await released(store);
    t.is((await store.consumers())[0]?.position ?? 0, 0);
  }
});

test('a comment comes first, and after each silence', async (t) => {
  const store = await storeOf(t, 0);
  const reader = toEventStream(store.log.follow(), { heartbeatMs: 5 })
    .pipeThrough(new TextDecoderStream() as never)
    .getReader();
  for (let at = 0; at < 4; at++) t.is((await reader.read()).value, ':\n\n');
  await store.create(imageConfig('a'));
  let text = ':\n\n';
  while (text === ':\n\n') text = String((await reader.read()).value);
  t.regex(text, /^id: 1\ndata: \{"seq":1,.*\}\n\n$/);
  t.is((await reader.read()).value, ':\n\n');
  await reader.cancel();
});

test('a stream that is not read asks for no event', async (t) => {
  const store = await storeOf(t, 50);
  const follower = store.log.follow({ from: 1 });
  const reader = toEventStream(follower).getReader();
  await delay(20);
  t.is(follower.position, 0);
  // The comment, and two events.
  for (let at = 0; at < 3; at++) await reader.read();
  await delay(20);
  t.is(follower.position, 2);
  await reader.cancel();
});

test('a cancelled stream ends the follower, also while it waits', async (t) => {
  const store = await storeOf(t, 1);
  for (const reads of [0, 1, 2, 3]) {
    const follower = store.log.follow({ from: 1 });
    const reader = toEventStream(follower).getReader();
    const read = Array.from({ length: reads }, () => reader.read());
    await delay(5);
    await reader.cancel();
    await Promise.all(read);
    t.true((await follower.next()).done);
  }
});

test('a signal ends the stream and the follower, and the stream is no error', async (t) => {
  const store = await storeOf(t, 1);
  for (const when of ['before', 'while it waits', 'between reads']) {
    const ending = new AbortController();
    if (when === 'before') ending.abort();
    const follower = store.log.follow({ from: 1 });
    const reader = toEventStream(follower, { signal: ending.signal }).getReader();
    if (when !== 'before') for (let at = 0; at < 2; at++) await reader.read();
    const waiting = when === 'while it waits' ? reader.read() : undefined;
    ending.abort();
    t.true((await (waiting ?? reader.read())).done, when);
    t.true((await follower.next()).done, when);
  }
});

test('a store that closes ends the stream; a follower that fails makes it fail', async (t) => {
  const store = await storeOf(t, 1);
  const ended = messagesOf(toEventStream(store.log.follow({ from: 1 })));
  t.is((await take(ended, 1)).length, 1);
  const ending = new AbortController();
  const failed = messagesOf(toEventStream(store.log.follow({ signal: ending.signal })));
  const failure = t.throwsAsync(failed.read(), { code: 'ABORTED' });
  await delay(5);
  ending.abort();
  await failure;
  const end = ended.read();
  await store.close();
  t.true((await end).done);
});

test('a consumer acknowledges what Last-Event-ID says, and is given back when the stream ends', async (t) => {
  const store = await storeOf(t, 5);
  const first = messagesOf(toEventStream(store.consumer('feed')));
  t.deepEqual(
    (await take(first, 3)).map(({ id }) => id),
    ['1', '2', '3'],
  );
  await first.cancel();
  await released(store);
  // The client got two of the three.
  const second = messagesOf(toEventStream(store.consumer('feed'), { lastEventId: '2' }));
  t.deepEqual(
    (await take(second, 3)).map(({ id }) => id),
    ['3', '4', '5'],
  );
  await second.cancel();
  await released(store);
  t.like((await store.consumers())[0], { name: 'feed', position: 2, held: false });
});

test('a response has the headers of an event stream', async (t) => {
  const store = await storeOf(t, 1);
  const response = eventStreamResponse(store.log.follow({ from: 1 }), { data: ({ seq }) => ({ seq }) });
  t.is(response.status, 200);
  t.deepEqual(Object.fromEntries(response.headers), {
    'cache-control': 'no-store',
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  });
  const reader = messagesOf(response);
  t.deepEqual(await take(reader, 1), [{ id: '1', event: undefined, data: '{"seq":1}' }]);
  await reader.cancel();
});
