import type { Server } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { createServer } from '../../../src/server/create-server.js';
import { listen } from '../../../src/server/service/listen.js';
import { serveStore } from '../../../src/server/service/serve-store.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';

test('a connection that the system does not give is a notice, and others are served', async (t) => {
  const notices: string[] = [];
  const servers: Server[] = [];
  const listening = await listen(
    ({ socket }, response) => {
      servers.push((socket as typeof socket & { server: Server }).server);
      response.end();
    },
    {
      addresses: [{ host: '127.0.0.1', port: 0 }],
      socket: join(await temporaryDirectory(t), 's'),
      socketMode: undefined,
      docker: { sockets: [], listener: () => undefined },
      tls: undefined,
      limits: {
        maxHeaderBytes: 1_000,
        headersTimeoutMs: 1_000,
        idleTimeoutMs: 1_000,
        maxConnections: 10,
        maxConnectionsPerAddress: 10,
        isProxy: () => false,
      },
      onUpgrade: () => undefined,
      onRefused: () => undefined,
      onNotice: (notice) => notices.push(notice),
    },
  );
  t.teardown(() => listening.stop(0));
  const [url = ''] = listening.urls;
  await fetch(url);
  const failure = Object.assign(new Error('accept'), { code: 'EMFILE' });
  servers[0]?.emit('error', failure);
  servers[0]?.emit('error', failure);
  t.deepEqual(notices, [`cannot accept connections at ${url}: EMFILE (1 since the last notice)`]);
  t.is((await fetch(url)).status, 200);
});

/** While it runs, its consumer is held. */
const hook = { name: 'ci', url: 'http://127.0.0.1:1/' };

test('a start that fails leaves no webhook running', async (t) => {
  const store = await openTestStore(t);
  const other = await serveStore(await openTestStore(t), {
    server: {},
    listen: [{ host: '127.0.0.1', port: 0 }],
    onNotice: () => undefined,
  });
  t.teardown(() => other.stop(0));
  const port = Number(new URL(other.urls[0] ?? '').port);
  const options = { listen: [{ host: '127.0.0.1', port }], onNotice: () => undefined };
  await rejection(t, 'ADDRESS_IN_USE', serveStore(store, { ...options, server: { webhooks: [hook] } }));
  t.deepEqual(
    (await store.consumers()).map(({ held }) => held),
    [false],
  );
});

test('a server whose mirrors are not valid leaves no webhook running', async (t) => {
  const store = await openTestStore(t);
  t.throws(() => createServer(store, { webhooks: [hook], mirrors: [{ repositories: 'a', freshSeconds: -1 }] }));
  t.false((await store.consumers()).some(({ held }) => held));
});
