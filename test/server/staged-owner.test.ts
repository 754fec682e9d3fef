import { createServer as createHttpServer, request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { createServer } from '../../src/server/create-server.js';
import { openStore } from '../../src/store/open/open-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytesOf } from '../support/text-bytes.js';

const REPOSITORY = 'docker.io/shop/app';

test('a blob that a call of `fetch` uploaded waits for its manifest when the store opens again', async (t) => {
  const directory = await temporaryDirectory(t);
  const bytes = bytesOf('a blob');
  const digest = digestOf(bytes);
  const store = await openStore(directory);
  const server = createServer(store);
  const uploads = 'http://imagelog/v2/shop/app/blobs/uploads/';
  const whole = new Request(`${uploads}?digest=${digest}`, { method: 'POST', body: new Uint8Array(bytes) });
  t.is((await server.fetch(whole)).status, 201);
  t.is((await server.fetch(new Request(uploads, { method: 'POST' }))).status, 202);
  await server.close();
  await store.close();
  const notices: string[] = [];
  await using again = await openStore(directory, { onNotice: (notice) => notices.push(notice) });
  t.is(again.registry.uploads.staged(REPOSITORY, digest)?.size, bytes.length);
  t.is(again.registry.uploads.used.uploads, 1, 'one in progress too');
  t.deepEqual(notices, []);
});

test('a blob that came by a Unix socket waits for its manifest when the store opens again', async (t) => {
  const directory = await temporaryDirectory(t);
  const bytes = bytesOf('a blob');
  const digest = digestOf(bytes);
  const store = await openStore(directory);
  const server = createServer(store);
  const socketPath = join(await temporaryDirectory(t), 'serve.sock');
  const listening = createHttpServer(server.listener).listen(socketPath);
  await once(listening, 'listening');
  const path = `/v2/shop/app/blobs/uploads/?digest=${digest}`;
  const sent = request({ socketPath, path, method: 'POST' }).end(bytes);
  const status = await new Promise((resolve, reject) => {
    sent.once('error', reject).once('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
  });
  t.is(status, 201);
  listening.closeAllConnections();
  listening.close();
  await server.close();
  await store.close();
  await using again = await openStore(directory);
  t.is(again.registry.uploads.staged(REPOSITORY, digest)?.size, bytes.length);
});
