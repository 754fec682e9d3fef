import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_AGENT_BYTES } from '../../src/limits.js';
import type { StoredEvent } from '../../src/model/events.js';
import { type Grant, localAccess } from '../../src/server/access/access.js';
import { createServer } from '../../src/server/create-server.js';
import type { ServerOptions } from '../../src/server/service.js';
import type { RequestReport } from '../../src/server/service/access-log.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('the events of a request say from where and how it came, as far as that is known', async (t) => {
  const store = await openTestStore(t, { onNotice: () => undefined });
  await store.load(archivePath('skopeo-tiny-1.tar'));
  for (const name of ['http', 'fetch', 'long'])
    await store.tag({ source: store.resolve('tiny:1'), target: `x/y:${name}` });
  const server = createServer(store);
  const listening = createHttpServer(server.listener).listen(0, '127.0.0.1');
  t.teardown(async () => {
    listening.closeAllConnections();
    listening.close();
    await server.close();
  });
  await new Promise((resolve) => listening.once('listening', resolve));
  const base = `http://127.0.0.1:${(listening.address() as AddressInfo).port}/v2/x/y/manifests`;
  const headers = { 'user-agent': 'docker/27', traceparent: TRACEPARENT, 'x-request-id': 'R-1' };
  t.is((await fetch(`${base}/http`, { method: 'DELETE', headers })).status, 202);
  t.is((await server.fetch(new Request(`${base}/fetch`, { method: 'DELETE' }))).status, 202);
  const [first, second] = (await eventsOf(store)).slice(-2);
  t.like(first, {
    type: 'ReferenceRemoved',
    actor: 'anonymous',
    requestId: 'R-1',
    via: 'registry',
    address: '127.0.0.1',
    agent: 'docker/27',
    traceparent: TRACEPARENT,
  });
  const unknown = { address: undefined, agent: undefined, traceparent: undefined, requestId: undefined };
  t.like(second, { actor: 'tester', via: 'registry', ...unknown });
  const long = { 'user-agent': `docker/27 ${'d'.repeat(MAX_AGENT_BYTES)}`, 'x-request-id': 'R'.repeat(2_000) };
  t.is((await fetch(`${base}/long`, { method: 'DELETE', headers: long })).status, 202);
  const [cut] = (await eventsOf(store)).slice(-1);
  t.true(cut?.agent?.startsWith('docker/27 ddd'));
  t.true((cut?.agent?.length ?? 0) <= MAX_AGENT_BYTES);
});

/** Serves a store with the references `x/y:…` on `path`, or on a port; returns what removes one. */
async function removing(t: ExecutionContext, options: ServerOptions, path?: string) {
  const store = await openTestStore(t, { onNotice: () => undefined });
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.tag({ source: store.resolve('tiny:1'), target: 'x/y:1' });
  const reports: RequestReport[] = [];
  const server = createServer(store, { ...options, onRequest: (report) => reports.push(report) });
  const listening = createHttpServer(server.listener).listen(path ?? { port: 0, host: '127.0.0.1' });
  await once(listening, 'listening');
  t.teardown(async () => {
    listening.closeAllConnections();
    listening.close();
    await server.close();
  });
  const address = listening.address();
  const to = address === null || typeof address === 'string' ? { socketPath: path } : { port: address.port };
  const remove = async (): Promise<StoredEvent | undefined> => {
    const sent = request({ ...to, host: '127.0.0.1', path: '/v2/x/y/manifests/1', method: 'DELETE' }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    t.is(response.statusCode, 202);
    await once(response.resume(), 'end');
    return (await eventsOf(store)).at(-1);
  };
  return { remove, reports, server, store };
}

test('a request id that the server made is in the access log alone', async (t) => {
  const { remove, reports } = await removing(t, {});
  t.is((await remove())?.requestId, undefined);
  t.regex(reports[0]?.requestId ?? '', /^[0-9a-f]{12}$/);
});

test('by a Unix socket without rules the actor is who runs the server', async (t) => {
  const { remove } = await removing(t, {}, join(await temporaryDirectory(t), 'serve.sock'));
  t.like(await remove(), { actor: 'tester', address: undefined });
});

test('one that rules of a program let in without a name is anonymous, however it came', async (t) => {
  const grant: Grant = { actor: undefined, isLoggedIn: false, hasRights: true, mayNameActor: false, may: () => true };
  const { server, store } = await removing(t, { access: { ...localAccess, authenticate: async () => grant } });
  const gone = await server.fetch(new Request('http://imagelog/v2/x/y/manifests/1', { method: 'DELETE' }));
  t.is(gone.status, 202);
  t.like((await eventsOf(store)).at(-1), { actor: 'anonymous', address: undefined });
});
