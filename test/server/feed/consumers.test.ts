import test from 'ava';
import type { ExecutionContext } from 'ava';
import { type Access, localAccess } from '../../../src/server/access/access.js';
import type { EventStore } from '../../../src/store/event-store.js';
import {
  MAX_CONSUMER_BATCH_BYTES,
  MAX_CONSUMER_BATCH_EVENTS,
  MAX_CONSUMER_WAIT_S,
  MAX_FEED_BODY_BYTES,
} from '../../../src/limits.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { openTestStore } from '../../support/test-store.js';
import { failureOf, seqs, type Served, serve, until, write } from './serving.js';
import { messagesOf, take } from '../../support/event-source.js';

async function put(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'PUT', body: JSON.stringify(body) });
}

async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body) });
}

interface Batch {
  readonly position: number;
  readonly through: number;
  readonly head: number;
  readonly events: readonly { readonly seq: number; readonly type: string; readonly sequence: string }[];
}

async function next(url: string, query = ''): Promise<Batch> {
  const response = await fetch(`${url}/events?data=event${query}`);
  if (response.status !== 200) throw new Error(await failureOf(response));
  return (await response.json()) as Batch;
}

async function seqsOf(url: string, query = ''): Promise<number[]> {
  return (await next(url, query)).events.map(({ seq }) => seq);
}

async function served(t: ExecutionContext, count: number): Promise<{ store: EventStore; own: Served; url: string }> {
  const store = await openTestStore(t);
  await write(store, count);
  const own = await serve(t, store);
  return { store, own, url: `${own.url}/consumers/mirror` };
}

test('a consumer is created once, gives what is not acknowledged, and is removed', async (t) => {
  const { url } = await served(t, 5);
  const created = await put(url, { from: 2 });
  t.is(created.status, 201);
  t.like(await created.json(), { name: 'mirror', position: 1, behind: 4, filter: {}, held: false, webhook: null });
  t.is((await put(url, {})).status, 200);
  t.like(await next(url, '&limit=2'), { position: 1, through: 3, head: 5 });
  t.deepEqual(await seqsOf(url, '&limit=2'), [2, 3]);
  t.deepEqual(await (await post(`${url}/ack`, { seq: 3 })).json(), { name: 'mirror', position: 3 });
  t.deepEqual(await (await post(`${url}/ack`, { seq: 2 })).json(), { name: 'mirror', position: 3 });
  t.deepEqual(await seqsOf(url), [4, 5]);
  t.like(await (await fetch(url)).json(), { position: 3, behind: 2 });
  t.is((await put(`${url}/position`, { position: 0 })).status, 200);
  t.deepEqual(await seqsOf(url), seqs(1, 5));
  t.is((await fetch(url, { method: 'DELETE' })).status, 204);
  t.regex(await failureOf(await fetch(url)), /^404 CONSUMER_NOT_FOUND/);
  t.regex(await failureOf(await fetch(`${url}/events`)), /^404 CONSUMER_NOT_FOUND/);
  t.regex(await failureOf(await post(`${url}/ack`, { seq: 1 })), /^404 CONSUMER_NOT_FOUND/);
  t.regex(await failureOf(await fetch(url, { method: 'DELETE' })), /^404 CONSUMER_NOT_FOUND/);
});

test('the list has positions, what each waits for, and the head', async (t) => {
  const { url, own } = await served(t, 5);
  await put(url, { from: 'new' });
  await put(`${own.url}/consumers/audit@2`, { filter: { type: 'ReferenceSet', actor: ['tester', 'ann'] } });
  const list = (await (await fetch(`${own.url}/consumers`)).json()) as { consumers: unknown[] };
  t.like(list, { head: 5 });
  t.is(list.consumers.length, 2);
  t.like(list.consumers[0], { name: 'audit@2', position: 0, behind: 0, filter: { type: ['ReferenceSet'] } });
  t.like(list.consumers[1], { name: 'mirror', position: 5, behind: 0 });
});

test('a consumer keeps its filter, and refuses another one', async (t) => {
  const { url, store } = await served(t, 3);
  const filter = { type: 'ReferenceSet', reference: 'shop/*' };
  t.is((await put(url, { filter })).status, 201);
  t.is((await put(url, { filter: { reference: ['shop/*'], type: ['ReferenceSet'] } })).status, 200);
  t.regex(await failureOf(await put(url, {})), /^409 CONSUMER_EXISTS: .* mirror@2/);
  const source = await store.create(imageConfig('x'));
  await store.tag({ source, target: 'shop/app:1' });
  await store.tag({ source, target: 'other:1' });
  const { events, through } = await next(url);
  t.deepEqual(
    events.map(({ seq }) => seq),
    [5],
  );
  // What the filter left out after it is acknowledged with it.
  t.is(through, 6);
  await post(`${url}/ack`, { seq: through });
  t.like(await (await fetch(url)).json(), { position: 6, behind: 0 });
});

test('what was not acknowledged is given again after a restart of the server and of the store', async (t) => {
  const { url, store, own } = await served(t, 6);
  await put(url, { filter: { type: 'ImageCreated' } });
  t.deepEqual(await seqsOf(url, '&limit=4'), [1, 2, 3, 4]);
  await post(`${url}/ack`, { seq: 2 });
  await own.close();
  await store.close();
  const again = await openStore(store.directory, { actor: 'tester' });
  t.teardown(() => again.close());
  await serve(t, again, { port: own.port });
  t.deepEqual(await seqsOf(url), [3, 4, 5, 6]);
  // Acknowledged by a client that was given it before the restart.
  t.deepEqual(await (await post(`${url}/ack`, { seq: 4 })).json(), { name: 'mirror', position: 4 });
  t.deepEqual(await seqsOf(url), [5, 6]);
});

test('a request may wait for an event', async (t) => {
  const { url, store, own } = await served(t, 1);
  await put(url, { from: 'new' });
  const empty = await next(url);
  t.like(empty, { position: 1, through: 1, head: 1 });
  t.deepEqual(empty.events, []);
  const waiting = seqsOf(url, '&wait=50');
  await write(store, 1, 'new');
  t.deepEqual(await waiting, [2]);
  await post(`${url}/ack`, { seq: 2 });
  t.deepEqual(await seqsOf(url, '&wait=1'), []);
  // The end of the server ends the wait.
  const last = seqsOf(url, '&wait=50');
  await new Promise((resolve) => setTimeout(resolve, 50));
  await own.server.close();
  t.deepEqual(await last, []);
});

test('acknowledgements at once leave the newest', async (t) => {
  const { url } = await served(t, 30);
  await put(url, {});
  const answers = await Promise.all(seqs(1, 30).map(async (seq) => (await post(`${url}/ack`, { seq })).status));
  t.true(answers.every((status) => status === 200));
  t.deepEqual(await seqsOf(url), []);
});

test('a position moves past events that its filter leaves out, without an acknowledgement', async (t) => {
  const { url, store } = await served(t, 1);
  await put(url, { filter: { actor: 'nobody' } });
  const source = await store.create(imageConfig('x'));
  await Promise.all(seqs(1, 1_000).map((at) => store.tag({ source, target: `a:${at}` })));
  t.like(await next(url), { position: 1_002, through: 1_002 });
  t.like(await (await fetch(url)).json(), { position: 1_002 });
});

test('an answer of many bytes ends early, and what is left comes next', async (t) => {
  const { url, store } = await served(t, 1);
  await put(url, { from: 'new' });
  const source = await store.create(imageConfig('x'));
  const reason = 'x'.repeat(8_000);
  await Promise.all(seqs(1, 600).map((at) => store.tag({ source, target: `a:${at}` }, { reason })));
  const first = await next(url, `&limit=${MAX_CONSUMER_BATCH_EVENTS}`);
  const last = first.events.at(-1)?.seq ?? 0;
  const bytes = JSON.stringify(first).length;
  t.true(bytes > MAX_CONSUMER_BATCH_BYTES - 20_000 && bytes < MAX_CONSUMER_BATCH_BYTES + 20_000, `${bytes}`);
  t.is(first.through, last);
  await post(`${url}/ack`, { seq: first.through });
  t.deepEqual(await seqsOf(url), seqs(last + 1, 602).slice(0, 100));
});

test('who names a holder keeps others away, and who was away finds it taken', async (t) => {
  const { url } = await served(t, 3);
  await put(url, {});
  t.deepEqual(await seqsOf(url), [1, 2, 3]);
  t.deepEqual(await seqsOf(url, '&holder=one'), [1, 2, 3]);
  const taken = /^409 CONSUMER_TAKEN: the consumer mirror is taken: one holds it/;
  t.regex(await failureOf(await fetch(`${url}/events?holder=two`)), taken);
  t.regex(await failureOf(await fetch(`${url}/events`)), taken);
  t.regex(await failureOf(await post(`${url}/ack`, { seq: 1 })), taken);
  t.is((await post(`${url}/ack?holder=one`, { seq: 1 })).status, 200);
  t.like(await (await fetch(url)).json(), { holder: 'one', position: 1 });
});

test('server-sent events of a consumer begin after its position, and do not move it', async (t) => {
  const { url, store } = await served(t, 3);
  await put(url, { filter: { type: 'ImageCreated' } });
  await post(`${url}/ack`, { seq: 1 });
  const open = async (headers: Record<string, string> = {}): ReturnType<typeof fetch> =>
    fetch(`${url}/events?data=event`, { headers: { accept: 'text/event-stream', ...headers } });
  const reader = messagesOf(await open());
  t.deepEqual(
    (await take(reader, 3)).map(({ id, event }) => `${event ?? ''}${id}`),
    ['2', '3', 'caught-up3'],
  );
  await write(store, 1, 'new');
  t.deepEqual(
    (await take(reader, 1)).map(({ id }) => id),
    ['4'],
  );
  await reader.cancel();
  const again = messagesOf(await open());
  t.deepEqual(
    (await take(again, 3)).map(({ id }) => id),
    ['2', '3', '4'],
  );
  await again.cancel();
  // A browser that lost its connection has these, and will acknowledge them.
  const resumed = messagesOf(await open({ 'last-event-id': '3' }));
  t.deepEqual(
    (await take(resumed, 1)).map(({ id }) => id),
    ['4'],
  );
  await resumed.cancel();
  t.regex(
    await failureOf(await open({ 'last-event-id': '9' })),
    /^400 TIME_OUT_OF_RANGE: cannot continue after event 9/,
  );
  t.like(await (await fetch(url)).json(), { position: 1 });
});

test('a stream holds the name as long as it is open', async (t) => {
  const { url } = await served(t, 1);
  await put(url, {});
  const reader = messagesOf(await fetch(`${url}/events?format=sse&holder=one`));
  await take(reader, 1);
  t.regex(await failureOf(await fetch(`${url}/events?holder=two`)), /^409 CONSUMER_TAKEN/);
  await reader.cancel();
});

test('a consumer that a program has open is taken', async (t) => {
  const { url, store } = await served(t, 3);
  const consumer = store.consumer('mirror');
  const taken = /^409 CONSUMER_TAKEN/;
  t.regex(await failureOf(await fetch(`${url}/events`)), taken);
  t.regex(await failureOf(await post(`${url}/ack`, { seq: 1 })), taken);
  t.regex(await failureOf(await put(url, {})), taken);
  t.like(await (await fetch(url)).json(), { held: true });
  await consumer.close();
  t.deepEqual(await seqsOf(url), [1, 2, 3]);
});

test('requests that make no sense change nothing', async (t) => {
  const { url, own } = await served(t, 3);
  const { url: base } = own;
  await put(url, {});
  const failures: readonly (readonly [() => Promise<Response>, RegExp])[] = [
    [() => put(`${base}/consumers/a%2fb`, {}), /^400 CONSUMER_INVALID/],
    [() => put(`${base}/consumers/${'a'.repeat(129)}`, {}), /^400 CONSUMER_INVALID/],
    [() => put(`${base}/consumers/a`, { from: 5 }), /^400 TIME_OUT_OF_RANGE/],
    [() => put(`${base}/consumers/a`, { from: -1 }), /^400 REQUEST_INVALID: from/],
    [() => put(`${base}/consumers/a`, { filter: [] }), /^400 REQUEST_INVALID: filter must be an object/],
    [() => put(`${base}/consumers/a`, { filter: { typ: 'x' } }), /^400 REQUEST_INVALID: unknown field of a filter typ/],
    [
      () => put(`${base}/consumers/a`, { filter: { actor: seqs(1, 5_000).map(String) } }),
      /^400 REQUEST_INVALID: the filter/,
    ],
    [() => put(`${base}/consumers/a`, { start: 1 }), /^400 REQUEST_INVALID: unknown field "start"/],
    [() => put(`${base}/consumers/a`, 'x'.repeat(MAX_FEED_BODY_BYTES + 1)), /^413 REQUEST_INVALID/],
    [() => fetch(`${base}/consumers/a`, { method: 'PUT', body: '{' }), /^400 REQUEST_INVALID: the body is not JSON/],
    [() => put(`${base}/consumers/a`, [1]), /^400 REQUEST_INVALID: the body must be a JSON object/],
    [() => post(`${url}/ack`, { seq: 4 }), /^400 TIME_OUT_OF_RANGE: cannot acknowledge event 4: the head is /],
    [() => post(`${url}/ack`, {}), /^400 REQUEST_INVALID: seq/],
    [() => put(`${url}/position`, { position: 4 }), /^400 TIME_OUT_OF_RANGE/],
    [
      () => fetch(`${url}/events?limit=${MAX_CONSUMER_BATCH_EVENTS + 1}`),
      /^400 REQUEST_INVALID: limit must be a whole number of 1 to 1000/,
    ],
    [() => fetch(`${url}/events?wait=${MAX_CONSUMER_WAIT_S + 1}`), /^400 REQUEST_INVALID: wait/],
    [() => fetch(`${url}/events?type=ImageCreated`), /^400 REQUEST_INVALID: unknown parameter "type"/],
    [() => fetch(`${url}/events?holder=`), /^400 REQUEST_INVALID: holder/],
  ];
  for (const [response, code] of failures) t.regex(await failureOf(await response()), code);
  const { consumers } = (await (await fetch(`${base}/consumers`)).json()) as { consumers: { position: number }[] };
  t.deepEqual(
    consumers.map(({ position }) => position),
    [0],
  );
});

/** Grants `actions` to all. */
function granting(actions: readonly string[], isLoggedIn: boolean): Access {
  return {
    ...localAccess,
    authenticate: async () => ({
      actor: isLoggedIn ? 'ann' : undefined,
      isLoggedIn,
      hasRights: true,
      mayNameActor: false,
      may: (action) => actions.includes(action),
    }),
  };
}

test('who may read reads events; consumers are used by who is known, and made by an admin', async (t) => {
  const store = await openTestStore(t);
  await write(store, 1);
  await store.consumer('mirror').close();
  const statuses = async (access: Access): Promise<number[]> => {
    const { url, close } = await serve(t, store, { access });
    const of = async (path: string, method = 'GET', body?: string): Promise<number> => {
      const { status } = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body }) });
      return status;
    };
    const result = [
      await of('/events'),
      await of('/consumers'),
      await of('/consumers/mirror/events'),
      await of('/consumers/mirror/ack', 'POST', '{"seq":0}'),
      await of('/consumers/mirror/position', 'PUT', '{"position":0}'),
      await of('/consumers/other', 'PUT'),
      await of('/consumers/other', 'DELETE'),
    ];
    await close();
    return result;
  };
  t.deepEqual(await statuses(granting([], true)), [403, 403, 403, 403, 403, 403, 403]);
  t.deepEqual(await statuses(granting(['read'], false)), [200, 200, 403, 403, 403, 403, 403]);
  t.deepEqual(await statuses(granting(['read'], true)), [200, 200, 200, 200, 403, 403, 403]);
  t.deepEqual(await statuses(granting(['read', 'admin'], true)), [200, 200, 200, 200, 200, 201, 204]);
  await until(async () => (await store.consumers()).length === 1);
});
