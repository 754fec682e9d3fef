import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { MAX_AGENT_BYTES } from '../../src/limits.js';
import { createServer } from '../../src/server/create-server.js';
import { archivePath } from '../store/fixture-archives.js';
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
    requestId: 'R-1',
    via: 'registry',
    address: '127.0.0.1',
    agent: 'docker/27',
    traceparent: TRACEPARENT,
  });
  t.like(second, { via: 'registry', address: undefined, agent: undefined, traceparent: undefined });
  const long = { 'user-agent': `docker/27 ${'d'.repeat(MAX_AGENT_BYTES)}`, 'x-request-id': 'R'.repeat(2_000) };
  t.is((await fetch(`${base}/long`, { method: 'DELETE', headers: long })).status, 202);
  const [cut] = (await eventsOf(store)).slice(-1);
  t.true(cut?.agent?.startsWith('docker/27 ddd'));
  t.true((cut?.agent?.length ?? 0) <= MAX_AGENT_BYTES);
});
