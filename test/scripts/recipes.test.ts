import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import test, { type ExecutionContext } from 'ava';
import { EventSource } from 'eventsource';
import { auditServer } from '../../scripts/examples/audit-service.js';
import { eventApp } from '../../scripts/examples/events-hono.js';
import { eventServer } from '../../scripts/examples/events-node.js';
import { webhookReceiver } from '../../scripts/examples/webhook-receiver.js';
import { checkProof } from '../../src/log/checkpoint.js';
import { createServer as createStoreServer } from '../../src/server/create-server.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { Follower } from '../../src/store/follow/event-filter.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { openTestStore } from '../support/test-store.js';

const TAG = 'shop/app:prod';

/** Listens at a free port, or at `port`; the server and its connections end with the test. */
async function listening(t: ExecutionContext, server: Server, port = 0): Promise<string> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => stopped(server));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stopped(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Two images, and a tag that moved between them. */
async function movedTag(t: ExecutionContext): Promise<EventStore> {
  const store = await openTestStore(t, { now: () => Date.UTC(2026, 10, 24, 9) });
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  await store.tag({ source: idNamed('a'), target: TAG }, { actor: 'ana', reason: 'release 1.0' });
  await store.tag({ source: idNamed('b'), target: TAG }, { actor: 'ben', reason: 'hotfix' });
  return store;
}

/** Collects the ids of messages; `until` resolves when there are so many. */
function listener(
  t: ExecutionContext,
  url: string,
): { readonly ids: string[]; until(count: number): Promise<string[]> } {
  const source = new EventSource(url);
  t.teardown(() => source.close());
  const ids: string[] = [];
  source.addEventListener('message', ({ lastEventId }) => ids.push(lastEventId));
  const until = async (count: number): Promise<string[]> => {
    while (ids.length < count) await delay(2);
    return ids;
  };
  return { ids, until };
}

test('an audit service answers from a store that another program has open', async (t) => {
  const store = await movedTag(t);
  const url = await listening(t, auditServer(store.directory));
  const get = async (path: string): Promise<readonly [number, never]> => {
    const response = await fetch(url + path);
    return [response.status, (await response.json()) as never];
  };
  const [, history] = await get(`/history?of=${TAG}`);
  t.like(history[0], { image: idNamed('a'), actor: 'ana', reason: 'release 1.0', untilSeq: 4 });
  t.like(history[1], { image: idNamed('b'), previous: idNamed('a'), actor: 'ben', reason: 'hotfix' });
  const [, events] = await get(`/events?of=${TAG}`);
  t.like(events[1], { seq: 4, time: '2026-11-24T09:00:00.000Z', type: 'ReferenceSet', previous: idNamed('a') });
  t.deepEqual(await get(`/resolve?name=${TAG}&at=2026-11-24`), [200, { image: idNamed('b') } as never]);
  const [, { proof }] = (await get('/proof?seq=4')) as unknown as [number, { proof: string }];
  t.like((await checkProof(proof)).event, { seq: 4, actor: 'ben' });
  // What is written meanwhile is in the next answer.
  await store.untag(TAG);
  t.is(((await get(`/events?of=${TAG}`))[1] as unknown[]).length, 3);
  for (const [path, status, code] of [
    ['/history?of=nobody:1', 404, 'REFERENCE_NOT_FOUND'],
    ['/events?of=UPPER', 400, 'REFERENCE_INVALID'],
    [`/resolve?name=${TAG}&at=2099-01-01`, 400, 'TIME_OUT_OF_RANGE'],
    ['/proof?seq=99', 404, 'EVENT_NOT_FOUND'],
  ] as const)
    t.like(await get(path), [status, { code }], path);
  t.deepEqual(await get('/history'), [400, { message: 'of is missing' } as never]);
  t.is((await get('/proof?seq=x'))[0], 400);
  t.is((await get('/nothing'))[0], 404);
});

test('an EventSource that reconnects to node:http misses nothing, also over a restart of the server', async (t) => {
  const store = await movedTag(t);
  const first = eventServer(store);
  const url = await listening(t, first);
  const asked = once(first, 'request');
  const { ids, until } = listener(t, `${url}/events`);
  // Without an id the stream begins with the request.
  await asked;
  await store.untag(TAG);
  t.deepEqual(await until(1), ['5']);
  await stopped(first);
  await store.tag({ source: idNamed('a'), target: TAG });
  await store.tag({ source: idNamed('b'), target: TAG });
  await listening(t, eventServer(store), Number(new URL(url).port));
  t.deepEqual(await until(3), ['5', '6', '7']);
  await store.tag({ source: idNamed('a'), target: TAG });
  t.deepEqual(await until(4), ['5', '6', '7', '8']);
  t.is(new Set(ids).size, ids.length);
});

test('hono sends the events after Last-Event-ID, and a client that leaves ends its follower', async (t) => {
  const store = await movedTag(t);
  const followers: Follower[] = [];
  const follow: EventStore['log']['follow'] = (options) => {
    const follower = store.log.follow(options);
    followers.push(follower);
    return follower;
  };
  const watched = { log: { follow } } as EventStore;
  const url = await listening(t, createAdaptorServer({ fetch: eventApp(watched).fetch }) as Server);
  const leaving = new AbortController();
  const response = await fetch(`${url}/events`, { headers: { 'last-event-id': '2' }, signal: leaving.signal });
  t.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes('id: 4\n')) text += decoder.decode((await reader.read()).value, { stream: true });
  t.deepEqual(
    [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id),
    ['3', '4'],
  );
  leaving.abort();
  t.is(followers.length, 1);
  t.true((await followers[0]?.next())?.done);
});

for (const [name, serverOf] of [
  ['node:http', eventServer],
  ['hono', (store: EventStore) => createAdaptorServer({ fetch: eventApp(store).fetch }) as Server],
] as const) {
  test(`an id that is no seq ends the reconnecting: ${name}`, async (t) => {
    const url = await listening(t, serverOf(await movedTag(t)));
    const response = await fetch(`${url}/events`, { headers: { 'last-event-id': 'of another program' } });
    t.is(response.status, 204);
  });
}

test('a receiver of webhooks takes signed events in order, one that failed again, and refuses others', async (t) => {
  const store = await movedTag(t);
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const taken: unknown[] = [];
  let failures = 1;
  const receiver = webhookReceiver(secret, async (event) => {
    if (failures-- > 0) throw new Error('the database is down');
    taken.push((event as { data: { reason: unknown } }).data.reason);
  });
  const url = await listening(t, receiver);
  const filter = { type: 'ReferenceSet', reference: '*:prod' } as const;
  const webhooks = [{ name: 'ci', url, secret, filter, from: 1, retry: { baseMs: 1, capMs: 5 } }];
  const server = createStoreServer(store, { webhooks });
  while (taken.length < 2) await delay(2);
  await server.close();
  t.deepEqual(taken, ['release 1.0', 'hotfix']);
  const headers = { 'webhook-id': 'x', 'webhook-timestamp': String(Date.now() / 1_000), 'webhook-signature': 'v1,AAAA' };
  t.is((await fetch(url, { method: 'POST', headers, body: '{}' })).status, 401);
  t.is((await fetch(url, { method: 'POST', body: '{}' })).status, 401);
  t.is(taken.length, 2);
});
