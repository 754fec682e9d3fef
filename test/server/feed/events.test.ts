import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import test from 'ava';
import { eventToCloudEvent, eventToJSON } from '../../../src/log/event-json.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { EventFilter } from '../../../src/store/follow/event-filter.js';
import { fixturePath } from '../../support/fixtures.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { failureOf, linesOf, seqs, serve, write } from './serving.js';
import { messagesOf, take } from '../../support/event-source.js';

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
addFormats.default(ajv);
const isCloudEvent = ajv.compile(
  JSON.parse(readFileSync(fixturePath('cloudevents', 'cloudevents.json'), 'utf8')) as object,
);

/** Writes events of several types, actors, requests and reasons. */
async function writeMixed(store: EventStore): Promise<void> {
  const a = await store.create(imageConfig('a'), { actor: 'ann', requestId: 'r1', reason: 'Nightly build' });
  const b = await store.create(imageConfig('b'), { actor: 'bob', requestId: 'r2' });
  await store.tag({ source: a, target: 'shop/app:1' }, { actor: 'ann' });
  await store.tag({ source: b, target: 'shop/app:2' }, { actor: 'cid', reason: 'promote' });
  await store.tag({ source: b, target: 'other:2' }, { actor: 'cid' });
  await store.delete(a, { actor: 'bob', reason: 'clean up', requestId: 'r3' });
}

test('events come as CloudEvents in server-sent events, then a mark, then new events', async (t) => {
  const store = await openTestStore(t);
  await writeMixed(store);
  const before = await eventsOf(store);
  const { url } = await serve(t, store);
  const response = await fetch(`${url}/events?from=1`, { headers: { accept: 'text/event-stream' } });
  t.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  t.is(response.headers.get('cache-control'), 'no-store');
  const reader = messagesOf(response);
  const messages = await take(reader, before.length + 1);
  const mark = messages.pop();
  t.deepEqual(
    messages.map(({ id, data }) => [id, JSON.parse(data) as unknown]),
    before.map((event) => [
      String(event.seq),
      JSON.parse(JSON.stringify(eventToCloudEvent(event, { storeId: store.stats().storeId }))),
    ]),
  );
  for (const { data } of messages) t.true(isCloudEvent(JSON.parse(data)), JSON.stringify(isCloudEvent.errors));
  t.deepEqual(mark, { event: 'caught-up', id: String(before.length), data: `{"seq":${before.length}}` });
  await write(store, 2, 'new');
  t.deepEqual(
    (await take(reader, 2)).map(({ id, event }) => [id, event]),
    [
      [String(before.length + 1), undefined],
      [String(before.length + 2), undefined],
    ],
  );
  await reader.cancel();
});

test('without from a follower gets new events only, after a mark at once', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const { url } = await serve(t, store);
  const reader = messagesOf(await fetch(`${url}/events?format=sse&data=event`));
  t.deepEqual(await take(reader, 1), [{ event: 'caught-up', id: '3', data: '{"seq":3}' }]);
  await write(store, 1, 'new');
  const [message] = await take(reader, 1);
  const event = (await eventsOf(store)).at(-1);
  t.deepEqual(JSON.parse(message?.data ?? ''), JSON.parse(JSON.stringify(event && eventToJSON(event))));
  await reader.cancel();
});

const image = idNamed('a');

/** Filters as query and as the library has them. */
const filters: readonly { readonly query: string; readonly filter: EventFilter }[] = [
  { query: 'type=ImageCreated', filter: { type: 'ImageCreated' } },
  { query: 'type=ImageCreated&type=ImageDeleted', filter: { type: ['ImageCreated', 'ImageDeleted'] } },
  { query: `image=${encodeURIComponent(image)}`, filter: { image } },
  { query: 'reference=shop%2Fapp:1', filter: { reference: 'shop/app:1' } },
  { query: 'reference=shop/*&reference=other:2', filter: { reference: ['shop/*', 'other:2'] } },
  { query: 'actor=ann', filter: { actor: 'ann' } },
  { query: 'actor=cid&type=ReferenceSet&reference=*:2', filter: { actor: 'cid', reference: '*:2' } },
  { query: 'requestId=r1&requestId=r3', filter: { requestId: ['r1', 'r3'] } },
  { query: 'reasonIncludes=BUILD', filter: { reasonIncludes: 'build' } },
  { query: 'since=1h&until=now', filter: { since: '1h' } },
];

for (const { query, filter } of filters) {
  test(`the filter ${query} passes what it passes in the library, of the past and live`, async (t) => {
    const store = await openTestStore(t);
    await writeMixed(store);
    const { url } = await serve(t, store);
    const wanted = (await eventsOf(store, { filter })).map(({ seq }) => seq);
    t.true(wanted.length > 0);
    const lines = await linesOf(await fetch(`${url}/events?data=event&${query}`));
    t.deepEqual(
      lines.map(({ seq }) => seq),
      wanted,
    );
    if (query.includes('until')) return;
    const live = messagesOf(await fetch(`${url}/events?format=sse&${query}`));
    t.is((await take(live, 1))[0]?.event, 'caught-up');
    await writeMixed(store);
    const later = (await eventsOf(store, { filter })).map(({ seq }) => seq).slice(wanted.length);
    t.deepEqual(
      (await take(live, later.length)).map(({ id }) => Number(id)),
      later,
    );
    await live.cancel();
  });
}

test('a filter on a chain selects its layers', async (t) => {
  const store = await openTestStore(t);
  await writeMixed(store);
  const { url } = await serve(t, store);
  const chainId = `sha256:${'a'.repeat(64)}`;
  t.deepEqual(await linesOf(await fetch(`${url}/events?chainId=${chainId}`)), []);
  t.regex(await failureOf(await fetch(`${url}/events?chainId=x`)), /^400 DIGEST_INVALID/);
});

test('a bounded read ends: from, to and limit, in lines of JSON and as server-sent events', async (t) => {
  const store = await openTestStore(t);
  await write(store, 10);
  const { url } = await serve(t, store);
  const numbers = async (query: string): Promise<unknown[]> =>
    (await linesOf(await fetch(`${url}/events?data=event${query}`))).map(({ seq }) => seq);
  t.deepEqual(await numbers(''), seqs(1, 10));
  t.deepEqual(await numbers('&from=3&to=5'), [3, 4, 5]);
  t.deepEqual(await numbers('&from=0&limit=2'), [1, 2]);
  t.deepEqual(await numbers('&from=9&to=99'), [9, 10]);
  t.deepEqual(await numbers('&from=11'), []);
  t.deepEqual(await numbers('&to=0'), []);
  const sse = messagesOf(await fetch(`${url}/events?format=sse&from=8&to=9`));
  t.deepEqual(
    (await take(sse, 9)).map(({ id }) => id),
    ['8', '9'],
  );
  const limited = messagesOf(await fetch(`${url}/events?format=sse&from=9&limit=3`));
  t.deepEqual(
    (await take(limited, 3)).map(({ id }) => id),
    ['9', '10', '10'],
  );
  await write(store, 2, 'new');
  t.deepEqual(
    (await take(limited, 9)).map(({ id }) => id),
    ['11'],
  );
});

test('a client that has all of a bounded read is told that there is no more', async (t) => {
  const store = await openTestStore(t);
  await write(store, 4);
  const { url } = await serve(t, store);
  const ask = async (id: string): Promise<Response> =>
    fetch(`${url}/events?format=sse&to=4`, { headers: { 'last-event-id': id } });
  t.is((await ask('4')).status, 204);
  t.deepEqual(
    (await take(messagesOf(await ask('2')), 9)).map(({ id }) => id),
    ['3', '4'],
  );
});

test('lines of JSON may follow', async (t) => {
  const store = await openTestStore(t);
  await write(store, 1);
  const { url } = await serve(t, store);
  const response = await fetch(`${url}/events?follow=true&limit=2&data=event`, {
    headers: { accept: 'application/x-ndjson' },
  });
  t.is(response.headers.get('content-type'), 'application/x-ndjson; charset=utf-8');
  await write(store, 3, 'new');
  t.deepEqual(
    (await linesOf(response)).map(({ seq }) => seq),
    [2, 3],
  );
});

const refused: readonly (readonly [query: string, code: RegExp])[] = [
  ['?typ=ImageCreated', /^400 REQUEST_INVALID: unknown parameter "typ"; there are type, image,/],
  ['?type=ImageMade', /^400 REQUEST_INVALID: type must be one of/],
  ['?actor=', /^400 FILTER_INVALID/],
  ['?since=tomorrowish', /^400 TIME_INVALID/],
  ['?since=1h&since=2h', /^400 REQUEST_INVALID: since may be given once/],
  ['?reference=%00', /^400 REFERENCE_INVALID/],
  ['?from=x', /^400 REQUEST_INVALID: from must be a whole number/],
  ['?from=4', /^400 TIME_OUT_OF_RANGE: cannot begin at event 4: the head is 2/],
  ['?limit=0', /^400 REQUEST_INVALID: limit/],
  ['?format=xml', /^400 REQUEST_INVALID: format must be sse or ndjson/],
  ['?data=all', /^400 REQUEST_INVALID: data must be cloudevent or event/],
  ['?format=sse&follow=true&to=2', /^400 REQUEST_INVALID: to ends the answer/],
];

for (const [query, code] of refused) {
  test(`the request ${query} is refused`, async (t) => {
    const store = await openTestStore(t);
    await write(store, 2);
    const { url } = await serve(t, store);
    t.regex(await failureOf(await fetch(`${url}/events${query}`)), code);
  });
}

test('a Last-Event-ID that is malformed, or of another history, is refused', async (t) => {
  const store = await openTestStore(t);
  await write(store, 2);
  const { url } = await serve(t, store);
  const ask = async (id: string): Promise<string> =>
    failureOf(await fetch(`${url}/events?format=sse`, { headers: { 'last-event-id': id } }));
  t.regex(await ask('x'), /^400 REQUEST_INVALID: Last-Event-ID must be a seq/);
  t.regex(await ask('3'), /^400 TIME_OUT_OF_RANGE: cannot continue after event 3: the head is /);
});

test('an Accept that the feed has not is refused', async (t) => {
  const store = await openTestStore(t);
  const { url } = await serve(t, store);
  const response = await fetch(`${url}/events`, { headers: { accept: 'image/png' } });
  t.regex(await failureOf(response), /^406 REQUEST_INVALID/);
});

test('HEAD has the headers of GET and follows nothing', async (t) => {
  const store = await openTestStore(t);
  const { url } = await serve(t, store);
  const response = await fetch(`${url}/events?format=sse`, { method: 'HEAD' });
  t.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  t.is(await response.text(), '');
});

test('a program gets the feed from fetch, without a socket', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const { server } = await serve(t, store);
  const lines = await linesOf(await server.fetch(new Request('http://store/events?data=event')));
  t.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2, 3],
  );
  const reader = messagesOf(await server.fetch(new Request('http://store/events?format=sse')));
  t.is((await take(reader, 1))[0]?.event, 'caught-up');
  await write(store, 1, 'new');
  t.is((await take(reader, 1))[0]?.id, '4');
  await reader.cancel();
});

test('a server of the past gives what was there then, and nothing follows', async (t) => {
  const store = await openTestStore(t);
  await write(store, 5);
  const { url } = await serve(t, store, { at: 3 });
  const lines = await linesOf(await fetch(`${url}/events?data=event&to=9`));
  t.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2, 3],
  );
  const sse = await take(messagesOf(await fetch(`${url}/events?format=sse&from=2`)), 9);
  t.deepEqual(
    sse.map(({ id }) => id),
    ['2', '3'],
  );
  t.regex(
    await failureOf(await fetch(`${url}/events?follow=true`)),
    /^400 REQUEST_INVALID: this server shows the past/,
  );
  t.regex(await failureOf(await fetch(`${url}/consumers/a`, { method: 'PUT' })), /^503 STORE_READ_ONLY/);
  t.regex(await failureOf(await fetch(`${url}/consumers/a/events`)), /^503 STORE_READ_ONLY/);
  t.regex(await failureOf(await fetch(`${url}/consumers`)), /^503 STORE_READ_ONLY/);
  t.regex(await (await fetch(`${url}/metrics`)).text(), /imagelog_log_head 3/);
});
