import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createServer as createStoreServer } from '../../../src/server/create-server.js';
import { retryAfterMs, signedHeaders } from '../../../src/server/feed/webhook-request.js';
import { Webhooks } from '../../../src/server/feed/webhooks.js';
import { checkedWebhooks, type WebhookOptions } from '../../../src/server/feed/webhook-options.js';
import {
  MAX_DEAD_LETTERS,
  MAX_WEBHOOK_ANSWER_BYTES,
  MAX_WEBHOOK_SECRET_BYTES,
  MAX_WEBHOOK_WAIT_MS,
  MIN_WEBHOOK_SECRET_BYTES,
  WEBHOOK_TIMEOUT_MS,
} from '../../../src/limits.js';
import type { Consumer } from '../../../src/store/consumers/consumer.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { openTestStore } from '../../support/test-store.js';
import { type Served, seqs, serve, until, write } from './serving.js';

interface Delivery {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly seq: number;
  readonly atMs: number;
}

interface Target {
  readonly url: string;
  readonly got: readonly Delivery[];
  /** Most requests that were open at once. */
  readonly most: () => number;
}

/** A target that answers each delivery as `answer` does; by default 204. */
async function target(
  t: ExecutionContext,
  answer: (response: ServerResponse, delivery: Delivery, at: number) => void = (response) =>
    response.writeHead(204).end(),
): Promise<Target> {
  const got: Delivery[] = [];
  let [open, most] = [0, 0];
  const http = createServer((request, response) => void take(request, response));
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    open += 1;
    most = Math.max(most, open);
    response.once('close', () => (open -= 1));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const seq = body === '' ? 0 : Number((JSON.parse(body) as { sequence?: string; seq?: number }).sequence);
    const delivery = { method: request.method ?? '', headers: request.headers, body, seq, atMs: Date.now() };
    got.push(delivery);
    answer(response, delivery, got.length);
  };
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/hook?key=secret`;
  return { url, got, most: () => most };
}

const quick = { baseMs: 1, capMs: 20 };

function hook(url: string, options: Partial<WebhookOptions> = {}): WebhookOptions {
  return { name: 'ci', url, retry: quick, ...options };
}

interface State {
  readonly position: number;
  readonly held: boolean;
  readonly webhook: {
    readonly url: string;
    readonly state: string;
    readonly delivered: number;
    readonly skipped: number;
    readonly attempts: number;
    readonly lastError: string | null;
    readonly retryAt: string | null;
    readonly deadLetters: readonly { readonly seq: number; readonly attempts: number; readonly error: string }[];
  };
}

async function stateOf({ url }: Served, name = 'ci'): Promise<State> {
  return (await (await fetch(`${url}/consumers/webhook.${name}`)).json()) as State;
}

test('each event is sent once, in order, one at a time, as a CloudEvent', async (t) => {
  const store = await openTestStore(t);
  await write(store, 2);
  const { url, got, most } = await target(t);
  const own = await serve(t, store, { webhooks: [hook(url, { headers: { authorization: 'Bearer x' } })] });
  await Promise.all([write(store, 10, 'a'), write(store, 10, 'b')]);
  await until(() => got.length === 20);
  t.deepEqual(
    got.map(({ seq }) => seq),
    seqs(3, 22),
  );
  t.is(most(), 1);
  const [{ method, headers, body }] = got as [Delivery];
  t.is(method, 'POST');
  t.is(headers['content-type'], 'application/cloudevents+json; charset=utf-8');
  t.is(headers['authorization'], 'Bearer x');
  t.is(headers['webhook-id'], `${store.stats().storeId}/3`);
  t.is(headers['webhook-signature'], undefined);
  t.like(JSON.parse(body), { specversion: '1.0', type: 'dev.imagelog.ImageCreated' });
  await until(async () => (await stateOf(own)).position === 22);
  const state = await stateOf(own);
  t.true(state.held);
  t.like(state.webhook, { state: 'waiting', delivered: 20, skipped: 0, attempts: 0, lastError: null, retryAt: null });
  t.false(state.webhook.url.includes('secret'));
  t.deepEqual(own.failures, []);
});

test('a filter, a start and the form of the data are the target’s own', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const { url, got } = await target(t);
  await serve(t, store, { webhooks: [hook(url, { from: 2, filter: { type: 'ImageCreated' }, data: 'event' })] });
  await until(() => got.length === 2);
  t.deepEqual(
    got.map(({ body }) => (JSON.parse(body) as { seq: number }).seq),
    [2, 3],
  );
  t.is(got[0]?.headers['content-type'], 'application/json');
});

const secrets = [`whsec_${Buffer.alloc(24, 1).toString('base64')}`, `whsec_${Buffer.alloc(64, 2).toString('base64')}`];

test('a delivery is signed by each secret, with the time of each attempt', async (t) => {
  const store = await openTestStore(t);
  const { url, got } = await target(t, (response, _, at) => response.writeHead(at === 1 ? 500 : 200).end());
  await serve(t, store, { webhooks: [hook(url, { secret: secrets })] });
  await write(store, 1);
  await until(() => got.length === 2);
  for (const { headers, body } of got) {
    const [id, timestamp] = [headers['webhook-id'] as string, headers['webhook-timestamp'] as string];
    t.true(Math.abs(Number(timestamp) - Date.now() / 1_000) < 60);
    const expected = [Buffer.alloc(24, 1), Buffer.alloc(64, 2)].map(
      (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
    );
    t.is(headers['webhook-signature'], expected.join(' '));
  }
  t.is(got[0]?.headers['webhook-id'], got[1]?.headers['webhook-id']);
});

test('the signature is that of the example of Standard Webhooks', (t) => {
  const headers = signedHeaders(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' },
    [Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')],
  );
  t.is(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('a failed delivery is repeated until it is taken, and nothing comes before it', async (t) => {
  const store = await openTestStore(t);
  const answers: readonly ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(500).end('x'.repeat(3 * MAX_WEBHOOK_ANSWER_BYTES)),
    (response) => response.destroy(),
    (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
    () => undefined,
    (response) => response.writeHead(404).end(),
  ];
  const { url, got } = await target(t, (response, _, at) => {
    const answer = answers[at - 1];
    if (answer === undefined) response.writeHead(200).end('fine');
    else answer(response);
  });
  const own = await serve(t, store, { webhooks: [hook(url, { timeoutMs: 200 })] });
  await write(store, 3);
  await until(() => got.length === 8);
  t.deepEqual(
    got.map(({ seq }) => seq),
    [1, 1, 1, 1, 1, 1, 2, 3],
  );
  t.like((await stateOf(own)).webhook, { delivered: 3, skipped: 0, lastError: null });
});

test('Retry-After is honoured', async (t) => {
  const store = await openTestStore(t);
  const { url, got } = await target(t, (response, _, at) => {
    if (at === 1) response.writeHead(429, { 'retry-after': '1' }).end();
    else response.writeHead(200).end();
  });
  const own = await serve(t, store, { webhooks: [hook(url)] });
  await write(store, 1);
  await until(async () => (await stateOf(own)).webhook.state === 'retrying');
  t.like((await stateOf(own)).webhook, { attempts: 1, lastError: 'the target answered 429' });
  await until(() => got.length === 2);
  t.true((got[1] as Delivery).atMs - (got[0] as Delivery).atMs >= 990);
  t.is(retryAfterMs('Thu, 01 Jan 1970 00:01:00 GMT', 20_000), 40_000);
  t.is(retryAfterMs('99999999999', 0), MAX_WEBHOOK_WAIT_MS);
  t.is(retryAfterMs('soon', 0), 0);
  t.is(retryAfterMs('Thu, 01 Jan 1970 00:00:00 GMT', 20_000), 0);
});

test('an event beyond the limit of attempts is skipped with a notice, or stops the webhook', async (t) => {
  const store = await openTestStore(t);
  const refusing = (response: ServerResponse, { seq }: Delivery): void => {
    response.writeHead(seq === 2 ? 400 : 200).end();
  };
  const [skips, stops] = [await target(t, refusing), await target(t, refusing)];
  const own = await serve(t, store, {
    webhooks: [
      hook(skips.url, { name: 'skips', limit: { attempts: 3 } }),
      hook(stops.url, { name: 'stops', limit: { attempts: 2, beyond: 'stop' } }),
    ],
  });
  await write(store, 3);
  await until(() => skips.got.length === 5 && own.notices.length === 4);
  t.deepEqual(
    skips.got.map(({ seq }) => seq),
    [1, 2, 2, 2, 3],
  );
  t.deepEqual(
    stops.got.map(({ seq }) => seq),
    [1, 2, 2],
  );
  await until(async () => (await stateOf(own, 'skips')).position === 3);
  const skipped = await stateOf(own, 'skips');
  t.like(skipped.webhook, { state: 'waiting', delivered: 2, skipped: 1 });
  t.like(skipped.webhook.deadLetters[0], { seq: 2, attempts: 3, error: 'the target answered 400' });
  const stopped = await stateOf(own, 'stops');
  t.is(stopped.position, 1);
  t.like(stopped.webhook, { state: 'stopped', delivered: 1, skipped: 0 });
  const metrics = await (await fetch(`${own.url}/metrics`)).text();
  t.regex(metrics, /imagelog_webhooks_stopped 1/);
  t.regex(metrics, /imagelog_webhooks_retrying 0/);
  t.deepEqual(own.failures, []);
  t.deepEqual([...own.notices].sort(), [
    'webhook.skips fails and is tried again: the target answered 400',
    'webhook.skips: event 2 was skipped after 3 attempts: the target answered 400',
    'webhook.stops fails and is tried again: the target answered 400',
    'webhook.stops stopped until the server starts again: event 2 was not delivered after 2 attempts: the target answered 400',
  ]);
});

test('an event beyond the limit of age is skipped', async (t) => {
  const store = await openTestStore(t);
  const { url, got } = await target(t, (response) => response.writeHead(500).end());
  const own = await serve(t, store, { webhooks: [hook(url, { limit: { ageMs: 100 } })] });
  await write(store, 1);
  await until(async () => (await stateOf(own)).webhook.skipped === 1);
  t.true(got.length > 1);
});

test('of many that were skipped the newest are shown, and all are counted and reported', async (t) => {
  const store = await openTestStore(t);
  const { url } = await target(t, (response) => response.writeHead(400).end());
  const own = await serve(t, store, { webhooks: [hook(url, { limit: { attempts: 1 } })] });
  const count = MAX_DEAD_LETTERS + 5;
  await write(store, count);
  await until(async () => (await stateOf(own)).webhook.skipped === count);
  const { deadLetters } = (await stateOf(own)).webhook;
  t.deepEqual(
    deadLetters.map(({ seq }) => seq),
    seqs(6, count),
  );
  t.is(own.notices.length, count);
});

test('without options a target has 15 seconds, any number of attempts and no signature', (t) => {
  const [checked] = checkedWebhooks([{ name: 'ci', url: 'https://ci.example/' }]);
  t.like(checked, { timeoutMs: WEBHOOK_TIMEOUT_MS, secrets: [], data: 'cloudevent', baseMs: 1_000, capMs: 300_000 });
  t.like(checked?.limit, { attempts: Number.POSITIVE_INFINITY, ageMs: Number.POSITIVE_INFINITY, beyond: 'skip' });
});

test('410 stops the webhook before the event, which a new start tries again', async (t) => {
  const store = await openTestStore(t);
  const { url, got } = await target(t, (response, _, at) => response.writeHead(at === 1 ? 410 : 200).end());
  const own = await serve(t, store, { webhooks: [hook(url)] });
  await write(store, 2);
  await until(async () => (await stateOf(own)).webhook.state === 'stopped');
  t.is((await stateOf(own)).position, 0);
  await own.close();
  await serve(t, store, { webhooks: [hook(url)] });
  await until(() => got.length === 3);
  t.deepEqual(
    got.map(({ seq }) => seq),
    [1, 1, 2],
  );
});

test('nothing is lost by a restart: before the first event, and while a delivery is open', async (t) => {
  const store = await openTestStore(t);
  await write(store, 2);
  const { url, got } = await target(t, (response, _, at) => {
    // The second is never answered: the server ends meanwhile.
    if (at !== 2) response.writeHead(200).end();
  });
  const first = await serve(t, store, { webhooks: [hook(url)] });
  await first.close();
  await write(store, 3, 'between');
  const second = await serve(t, store, { webhooks: [hook(url)] });
  await until(() => got.length === 2);
  await second.close();
  await store.close();
  const again = await openStore(store.directory, { actor: 'tester' });
  t.teardown(() => again.close());
  await serve(t, again, { webhooks: [hook(url)] });
  await until(() => got.length === 4);
  t.deepEqual(
    got.map(({ seq }) => seq),
    [3, 4, 4, 5],
  );
});

test('a webhook whose position cannot be written holds up no close for longer than WEBHOOK_CLOSE_MS', async (t) => {
  const store = await openTestStore(t);
  let hang: Promise<void> | undefined;
  let end: () => void = () => undefined;
  const open = store.consumer.bind(store);
  const hanging = (...given: Parameters<typeof open>): Consumer => {
    const consumer = open(...given);
    const close = consumer.close.bind(consumer);
    return Object.assign(consumer, { close: async () => hang ?? close() });
  };
  Object.assign(store, { consumer: hanging });
  const notices: string[] = [];
  const onNotice = (notice: string): number => notices.push(notice);
  const webhooks = new Webhooks({ store, onFailure: () => undefined, onNotice }, [hook('http://127.0.0.1:1/')]);
  hang = new Promise<void>((resolve) => (end = resolve));
  await webhooks.close(20);
  end();
  hang = undefined;
  t.deepEqual(notices, ['webhooks did not end in time: their last events may be delivered again']);
});

test('one slow target holds up no other', async (t) => {
  const store = await openTestStore(t);
  const slow = await target(t, () => undefined);
  const fast = await target(t);
  const own = await serve(t, store, { webhooks: [hook(slow.url, { name: 'slow' }), hook(fast.url, { name: 'fast' })] });
  await write(store, 20);
  await until(() => fast.got.length === 20);
  t.is(slow.got.length, 1);
  t.is((await stateOf(own, 'slow')).webhook.state, 'delivering');
  await own.close();
});

test('a target is asked for its permission first, and how many events a minute it takes', async (t) => {
  const store = await openTestStore(t);
  const { url, got } = await target(t, (response, { method }, at) => {
    const allowed = { 'webhook-allowed-origin': 'log.example', 'webhook-allowed-rate': '1200' };
    if (method === 'OPTIONS') response.writeHead(200, at === 1 ? {} : allowed).end();
    else response.writeHead(200).end();
  });
  await serve(t, store, { webhooks: [hook(url, { origin: 'log.example' })] });
  await write(store, 3);
  await until(() => got.length === 5);
  t.deepEqual(
    got.map(({ method }) => method),
    ['OPTIONS', 'OPTIONS', 'POST', 'POST', 'POST'],
  );
  t.is(got[0]?.headers['webhook-request-origin'], 'log.example');
  t.true((got[4] as Delivery).atMs - (got[2] as Delivery).atMs >= 95);
});

const url = 'http://127.0.0.1:1/';
const wrong: readonly (readonly [title: string, webhooks: unknown, message: RegExp])[] = [
  ['no list', {}, /webhooks must be an array/],
  ['a name with a slash', [{ name: 'a/b', url }], /is not a name of a consumer/],
  ['two of one name', [hook(url), hook(url)], /two webhooks have the name ci/],
  ['another scheme', [hook('file:///etc/passwd')], /url must be an http or https URL/],
  ['no URL', [hook('nowhere')], /url must be an http or https URL/],
  [
    'a short secret',
    [hook(url, { secret: `whsec_${Buffer.alloc(MIN_WEBHOOK_SECRET_BYTES - 1).toString('base64')}` })],
    /secret must be whsec_/,
  ],
  [
    'a long secret',
    [hook(url, { secret: `whsec_${Buffer.alloc(MAX_WEBHOOK_SECRET_BYTES + 1).toString('base64')}` })],
    /secret must be/,
  ],
  ['a secret of another kind', [hook(url, { secret: 'x'.repeat(32) })], /secret must be whsec_/],
  ['a header that says what is sent', [hook(url, { headers: { 'Content-Type': 'x' } })], /may not have Content-Type/],
  ['a header with a line feed', [hook(url, { headers: { a: 'b\nc' } })], /Invalid character/],
  ['a time beyond a day', [hook(url, { timeoutMs: MAX_WEBHOOK_WAIT_MS + 1 })], /timeoutMs must be at most/],
  ['a limit of no attempt', [hook(url, { limit: { attempts: 0 } })], /limit.attempts must be a whole number from 1/],
  ['an unknown option', [{ ...hook(url), retries: 3 }], /unknown option of a webhook retries/],
  ['a start beyond the head', [hook(url, { from: 2 })], /cannot begin at event 2/],
  ['a filter that passes nothing', [hook(url, { filter: { actor: '' } })], /no event can pass/],
];

for (const [title, webhooks, message] of wrong) {
  test(`a webhook is refused: ${title}`, async (t) => {
    const store = await openTestStore(t);
    t.throws(() => createStoreServer(store, { webhooks: webhooks as never }), { message });
    t.deepEqual(
      (await store.consumers()).filter(({ held }) => held),
      [],
    );
  });
}
