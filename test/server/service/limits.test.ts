import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { Hono } from 'hono';
import { MAX_REQUEST_HEADERS } from '../../../src/limits.js';
import type { ServerEnv } from '../../../src/server/exchange.js';
import { admitted } from '../../../src/server/service/admission.js';
import { BodyWatch } from '../../../src/server/service/body-watch.js';
import { createServer } from '../../../src/server/create-server.js';
import { openTestStore } from '../../support/test-store.js';
import { get, rawClient } from './raw-client.js';
import { serving } from './serving.js';

const statusOf = (answer: string): number => Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1]);

test('a path that is too long is 414, and nothing of it is done', async (t) => {
  const { url, reports, reported } = await serving(t, { server: { limits: { maxUrlLength: 100 } } });
  t.is((await fetch(`${url}/v2/${'x'.repeat(100)}`)).status, 414);
  await reported(1);
  t.is(reports[0]?.code, 'URI_TOO_LONG');
});

test('more headers than the limit are 431, and none of them is left out', async (t) => {
  const { port } = await serving(t);
  const flood = (count: number): string =>
    get('/', 'Connection: close', ...Array.from({ length: count }, (_, at) => `X-${at}: 1`));
  t.is(statusOf(await rawClient(t, port, flood(MAX_REQUEST_HEADERS - 2)).ended), 200);
  t.is(statusOf(await rawClient(t, port, flood(MAX_REQUEST_HEADERS - 1)).ended), 431);
});

test('requests beyond the limit are 503 with Retry-After; feeds do not count', async (t) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const app = new Hono<ServerEnv>();
  const limits = { maxUrlLength: 1_000, maxRequests: 2 };
  app.use(admitted({ limits, atWork: { count: 0 }, signal: new AbortController().signal }));
  app.get('*', async (c) => {
    if (c.req.path !== '/quick') await held;
    return c.text('done');
  });
  app.onError((error) => Response.json(String(error), { status: 503 }));
  const feeds = [app.request('/events'), app.request('/consumers/a/events')];
  const slow = [app.request('/a'), app.request('/b')];
  t.is((await app.request('/quick')).status, 503);
  t.is((await app.request('/consumers/a/ack')).status, 503);
  release();
  for (const answer of await Promise.all([...slow, ...feeds])) t.is(answer.status, 200);
  t.is((await app.request('/quick')).status, 200);
});

test('connections of one address, and in all, are limited', async (t) => {
  const byAddress = await serving(t, { limits: { maxConnectionsPerAddress: 2 } });
  const first = [rawClient(t, byAddress.port), rawClient(t, byAddress.port)];
  await Promise.all(first.map(({ socket }) => once(socket, 'connect')));
  const third = await rawClient(t, byAddress.port, get('/health')).ended;
  t.is(statusOf(third), 429);
  t.regex(third, /\r\nretry-after: 5\r\n/);
  first[0]?.socket.destroy();
  await first[0]?.ended;
  t.is(statusOf(await rawClient(t, byAddress.port, get('/health', 'Connection: close')).ended), 200);
  const inAll = await serving(t, { limits: { maxConnections: 1 } });
  await once(rawClient(t, inAll.port).socket, 'connect');
  t.is(statusOf(await rawClient(t, inAll.port, get('/health')).ended), 503);
});

test('connections of a trusted proxy are limited in all alone', async (t) => {
  const { port } = await serving(t, {
    limits: { maxConnectionsPerAddress: 1 },
    server: { trustedProxies: ['127.0.0.1'] },
  });
  await once(rawClient(t, port).socket, 'connect');
  t.is(statusOf(await rawClient(t, port, get('/health', 'Connection: close')).ended), 200);
});

test('what is no request is refused, and the connection ends', async (t) => {
  const { port } = await serving(t, { limits: { maxHeaderBytes: 2_000, headersTimeoutMs: 100 } });
  const answers = {
    both: 'POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    lengths: 'POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    chunk: 'POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    space: 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
    host: 'GET / HTTP/1.1\r\n\r\n',
    noise: '\u0016\u0003\u0001',
  };
  for (const [name, text] of Object.entries(answers)) {
    t.is(statusOf(await rawClient(t, port, text).ended), 400, name);
  }
  t.is(statusOf(await rawClient(t, port, get('/', `X: ${'x'.repeat(3_000)}`)).ended), 431);
  const slow = await rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n').ended;
  t.is(statusOf(slow), 408);
  t.regex(
    await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    /refused_total\{code="REQUEST_TIMEOUT"\} 1\n/,
  );
});

test('a body that comes a byte at a time is 408; one that flows may take any time', async (t) => {
  const limits = { stallTimeoutMs: 200, minRate: 1_000 };
  const bodies = new BodyWatch(limits);
  const http = createHttpServer((incoming, outgoing) => {
    const watched = bodies.watch(incoming, outgoing);
    outgoing.once('close', () => bodies.forget(watched));
    incoming.on('error', () => undefined);
    incoming.resume().once('end', () => outgoing.end('done'));
  }).listen(0, '127.0.0.1');
  t.teardown(() => http.close());
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
  const slow = rawClient(t, port, head);
  const fast = rawClient(t, port, head);
  const piece = 'x'.repeat(0x100);
  let pieces = 0;
  const sending = setInterval(() => {
    if (slow.socket.writable) slow.socket.write('1\r\nx\r\n');
    fast.socket.write(++pieces < 30 ? `100\r\n${piece}\r\n` : '0\r\n\r\n');
    if (pieces >= 30) clearInterval(sending);
  }, 20);
  t.teardown(() => clearInterval(sending));
  t.is(statusOf(await slow.ended), 408);
  t.is(statusOf(await fast.ended), 200);
  t.true(pieces >= 30);
});

test('a refused request whose body never ends holds no connection', async (t) => {
  const { port, reported, reports } = await serving(t, {
    server: { limits: { stallTimeoutMs: 100, minRate: 10_000 } },
  });
  const { ended } = rawClient(t, port, 'POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx');
  t.is(statusOf(await ended), 404);
  await reported(1);
  t.is(reports[0]?.code, 'PATH_UNKNOWN');
});

test('an answer that nobody takes ends the connection', async (t) => {
  const bodies = new BodyWatch({ stallTimeoutMs: 100, minRate: 1e9 });
  let isCut = false;
  const http = createHttpServer((incoming, outgoing) => {
    const watched = bodies.watch(incoming, outgoing);
    outgoing.once('close', () => {
      isCut = !outgoing.writableFinished;
      bodies.forget(watched);
    });
    outgoing.write(Buffer.alloc(64 * 1024 * 1024));
  }).listen(0, '127.0.0.1');
  t.teardown(() => http.close());
  await once(http, 'listening');
  const { socket } = rawClient(t, (http.address() as AddressInfo).port, get('/'));
  socket.pause();
  await once(http, 'connection').catch(() => undefined);
  while (!isCut) await new Promise((resolve) => setTimeout(resolve, 20));
  t.true(isCut);
});

test('limits of zero or less are refused', async (t) => {
  const store = await openTestStore(t);
  t.throws(() => createServer(store, { limits: { minRate: -1 } }), { instanceOf: RangeError });
});
