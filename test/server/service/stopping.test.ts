import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import test from 'ava';
import { MAX_TLS_FILE_BYTES } from '../../../src/limits.js';
import { serveStore } from '../../../src/server/service/serve-store.js';
import { fixturePath } from '../../support/fixtures.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { get, rawClient } from './raw-client.js';
import { serving } from './serving.js';

const loopback = { host: '127.0.0.1', port: 0 };
const onNotice = (): void => undefined;

test('a stop ends idle connections at once, and refuses new ones', async (t) => {
  const { port, stop } = await serving(t);
  const idle = rawClient(t, port, get('/health'));
  await once(idle.socket, 'data');
  t.is(await stop(5_000), 0);
  t.regex(await idle.ended, /^HTTP\/1.1 200/);
  await t.throwsAsync(fetch(`http://127.0.0.1:${port}/`));
});

test('a stop waits for requests, and cuts those that take too long', async (t) => {
  const { port, stop } = await serving(t);
  // The rest of the headers follows.
  const finishing = rawClient(t, port, 'GET /health HTTP/1.1\r\n');
  const stuck = rawClient(t, port, 'GET /health HTTP/1.1\r\n');
  await Promise.all([once(finishing.socket, 'connect'), once(stuck.socket, 'connect')]);
  await fetch(`http://127.0.0.1:${port}/health`);
  const stopped = stop(400);
  finishing.socket.write('Host: localhost\r\nConnection: close\r\n\r\n');
  t.regex(await finishing.ended, /^HTTP\/1.1 200/);
  t.is(await stopped, 1);
  t.is(await stuck.ended, '');
});

test('an address in use is refused, and what was opened before it is closed', async (t) => {
  const { port } = await serving(t);
  const store = await openTestStore(t);
  const folder = await temporaryDirectory(t);
  const socket = join(folder, 's');
  const listen = [loopback, { host: '127.0.0.1', port }];
  const error = await rejection(t, 'ADDRESS_IN_USE', serveStore(store, { server: {}, listen, socket, onNotice }));
  t.is(error.data['address'], `127.0.0.1:${port}`);
  const first = await serveStore(store, { server: {}, listen: [], socket, onNotice });
  await rejection(t, 'ADDRESS_IN_USE', serveStore(store, { server: {}, listen: [], socket, onNotice }));
  await first.stop();
  const second = await serveStore(store, { server: {}, listen: [], socket, onNotice });
  t.deepEqual(second.urls, [`unix:${socket}`]);
  await second.stop();
});

test('plain HTTP is for this machine alone', async (t) => {
  const store = await openTestStore(t);
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    await rejection(t, 'ADDRESS_REFUSED', serveStore(store, { server: {}, listen: [{ host, port: 0 }], onNotice }));
  }
});

/** The name in the certificate that a server shows. */
function shownName(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/health', rejectUnauthorized: false, agent: false });
    sent.once('response', (answer) => {
      resolve([(answer.socket as TLSSocket).getPeerCertificate().subject.CN].flat()[0]);
      answer.resume();
    });
    sent.once('error', reject);
    sent.end();
  });
}

test('a certificate is read again, and a bad one changes nothing', async (t) => {
  const folder = await temporaryDirectory(t);
  const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const use = async (name: string): Promise<void> => {
    await cp(fixturePath('tls', `${name}.crt`), cert);
    await cp(fixturePath('tls', `${name}.key`), key);
  };
  await use('first');
  const { urls, port, reload, notices } = await serving(t, { tls: { cert, key }, listen: [loopback] });
  t.regex(urls[0] ?? '', /^https:\/\/127\.0\.0\.1:/);
  const plain = await fetch(`http://127.0.0.1:${port}/v2/`);
  t.is(plain.status, 400);
  t.like(await plain.json(), { errors: [{ code: 'REQUEST_INVALID', message: 'use https here' }] });
  t.is(await shownName(port), 'first.example');
  await use('second');
  await reload();
  t.is(await shownName(port), 'second.example');
  await cp(fixturePath('tls', 'first.key'), key);
  await reload();
  t.is(await shownName(port), 'second.example');
  t.is(notices.length, 2);
  t.regex(notices[1] ?? '', /is not valid: .*; the one in use stays$/);
});

test('files of TLS that are not there, or are no certificate, are refused', async (t) => {
  const store = await openTestStore(t);
  const folder = await temporaryDirectory(t);
  const text = join(folder, 'text');
  await writeFile(text, 'no certificate');
  const large = join(folder, 'large');
  await writeFile(large, Buffer.alloc(MAX_TLS_FILE_BYTES + 1));
  const [cert, key] = [fixturePath('tls', 'first.crt'), fixturePath('tls', 'first.key')];
  for (const tls of [
    { cert: join(folder, 'none'), key },
    { cert, key: text },
    { cert: large, key },
    { cert, key: fixturePath('tls', 'second.key') },
    { cert, key, clientCa: join(folder, 'none') },
  ]) {
    await rejection(t, 'TLS_INVALID', serveStore(store, { server: {}, listen: [loopback], tls, onNotice }));
  }
});
