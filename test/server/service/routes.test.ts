import test from 'ava';
import { get, rawClient } from './raw-client.js';
import { serving } from './serving.js';
import { createServer } from '../../../src/server/create-server.js';
import { imageConfig } from '../../support/image-configs.js';
import { openFailingStore, openTestStore } from '../../support/test-store.js';

test('/ says what is served', async (t) => {
  const { url, store } = await serving(t);
  const answer = await fetch(url);
  t.is(answer.status, 200);
  const { storeId } = store.stats();
  const { version, ...rest } = (await answer.json()) as Record<string, unknown>;
  t.deepEqual(rest, { name: 'imagelog', storeId, head: 0 });
  t.regex(String(version), /^\d+\.\d+\.\d+/);
});

test('/health and /ready need no rights; / and /metrics need those of a reader', async (t) => {
  const { url } = await serving(t);
  const headers = { 'x-forwarded-for': '8.8.8.8' };
  for (const [path, status] of [
    ['/health', 200],
    ['/ready', 200],
    ['/', 403],
    ['/metrics', 403],
  ] as const) {
    t.is((await fetch(url + path, { headers })).status, status, path);
    t.is((await fetch(url + path)).status, 200, path);
  }
});

test('metrics may be open to all', async (t) => {
  const { url } = await serving(t, { server: { metrics: 'all' } });
  t.is((await fetch(`${url}/metrics`, { headers: { 'x-forwarded-for': '8.8.8.8' } })).status, 200);
});

test('metrics count requests by route, and tell of store and process', async (t) => {
  const { url, store, reported } = await serving(t);
  await store.create(imageConfig('a'));
  await fetch(`${url}/health`);
  await fetch(`${url}/v2/private/name/manifests/1`);
  await reported(2);
  const answer = await fetch(`${url}/metrics`);
  t.is(answer.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  const text = await answer.text();
  t.regex(text, /^imagelog_http_requests_total\{method="GET",route="\/health",status="200"\} 1$/m);
  t.regex(text, /^imagelog_http_request_duration_seconds_count\{method="GET",route="\/health"\} 1$/m);
  t.regex(text, /^imagelog_http_requests_in_flight 1$/m);
  t.regex(text, /^imagelog_http_connections [12]$/m);
  t.regex(text, /^imagelog_log_head 1$/m);
  t.regex(text, /^imagelog_images 1$/m);
  t.regex(text, /^imagelog_references 0$/m);
  t.regex(text, /^imagelog_followers 0$/m);
  t.regex(text, /^process_resident_memory_bytes \d{7,}$/m);
  t.regex(text, /^process_cpu_seconds_total [\d.]+$/m);
  t.false(text.includes('private'), 'a name would add a series');
  t.true(text.endsWith('# EOF\n'));
});

test('/ready says why not: the server stops', async (t) => {
  const server = createServer(await openTestStore(t));
  t.is((await server.fetch(new Request('http://localhost/ready'))).status, 200);
  await server.close();
  const answer = await server.fetch(new Request('http://localhost/ready'));
  t.is(answer.status, 503);
  t.deepEqual(await answer.json(), {
    ready: false,
    reasons: [{ code: 'STOPPING', message: 'the server is stopping' }],
  });
  t.is((await server.fetch(new Request('http://localhost/health'))).status, 200);
  const refused = await server.fetch(new Request('http://localhost/v2/'));
  t.is(refused.status, 503);
  t.is(refused.headers.get('retry-after'), '10');
});

test('/ready says why not: the log failed, or the store is closed', async (t) => {
  const { store, databases } = await openFailingStore(t);
  const server = createServer(store);
  const reasons = async (): Promise<unknown> =>
    (
      (await (await server.fetch(new Request('http://localhost/ready'))).json()) as { reasons: { code: string }[] }
    ).reasons.map(({ code }) => code);
  t.deepEqual(await reasons(), []);
  databases.fates.push('lost');
  databases.failingOpens = 100;
  await t.throwsAsync(store.create(imageConfig('a')));
  t.deepEqual(await reasons(), ['LOG_FAILED']);
  await store.close();
  t.deepEqual(await reasons(), ['STORE_CLOSED']);
});

test('a page of the web that has a name for this machine has no rights', async (t) => {
  const { port } = await serving(t);
  const statusFor = async (...headers: string[]): Promise<string | undefined> => {
    const request = get('/', 'Connection: close', ...headers).replace('Host: localhost\r\n', '');
    return /^HTTP\/1.1 (\d+)/.exec(await rawClient(t, port, request).ended)?.[1];
  };
  t.is(await statusFor('Host: evil.example'), '403');
  t.is(await statusFor('Host: localhost:5000'), '200');
  t.is(await statusFor('Host: [::1]:5000'), '200');
  t.is(await statusFor('Host: 127.0.0.1', 'Forwarded: for=8.8.8.8'), '403', 'what a proxy passes on');
});

test('a trusted proxy says who the client is', async (t) => {
  const { url, reports, reported } = await serving(t, { server: { trustedProxies: ['127.0.0.1'] } });
  await fetch(url, { headers: { 'x-forwarded-for': '9.9.9.9, 8.8.8.8' } });
  await reported(1);
  t.is(reports.at(-1)?.address, '8.8.8.8');
});

test('options of a wrong kind are refused by name', async (t) => {
  const store = await openTestStore(t);
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => createServer(store, options), { message });
  };
  refused({ metrics: 'none' }, /metrics must be 'read' or 'all'/);
  refused({ trustedProxies: ['x'] }, /trusted proxy/);
  refused({ limits: { maxRequests: -1 } }, /maxRequests/);
  refused({ onRequest: 1 }, /onRequest must be a function/);
  refused({ nope: 1 }, /nope/);
});
