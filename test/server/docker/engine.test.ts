import { stat } from 'node:fs/promises';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { DISCARDED_BODY_MS } from '../../../src/limits.js';
import { serveStore } from '../../../src/server/service/serve-store.js';
import { accessFrom } from '../../../src/server/access/access-from.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { Engine } from './engine.js';

test('every answer says which version is spoken, and which system', async (t) => {
  const engine = await Engine.start(t);
  for (const path of ['/_ping', '/v1.24/_ping', '/nosuch', '/events?until=1']) {
    const { headers } = await engine.send('GET', path);
    t.like(headers, { 'api-version': '1.51', ostype: 'linux', 'docker-experimental': 'false' });
  }
  const ping = await engine.send('HEAD', '/_ping');
  t.deepEqual([ping.status, ping.text], [200, '']);
});

const VERSIONS: readonly (readonly [path: string, status: number, message?: string])[] = [
  ['/v1.12/images/json', 200],
  ['/v1.51/images/json', 200],
  [
    '/v1.11/images/json',
    400,
    'client version 1.11 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version',
  ],
  ['/v1.52/images/json', 400, 'client version 1.52 is too new. Maximum supported API version is 1.51'],
  ['/v1.99999/images/json', 400, 'client version 1.99999 is too new. Maximum supported API version is 1.51'],
  ['/v2.0/images/json', 400, 'client version 2.0 is too new. Maximum supported API version is 1.51'],
  ['/vbogus/images/json', 404, 'page not found'],
  ['/images/json/', 404, 'page not found'],
  ['/v1.41/', 404, 'page not found'],
];

for (const [path, status, message] of VERSIONS) {
  test(`${path} is answered with ${status}`, async (t) => {
    const engine = await Engine.start(t);
    const answer = await engine.send('GET', path);
    t.is(answer.status, status);
    if (message !== undefined) t.is(answer.text, `${JSON.stringify({ message })}\n`);
  });
}

test('a client may put anything in the header Host', async (t) => {
  const engine = await Engine.start(t);
  for (const host of ['/var/run/docker.sock', '%2Fvar%2Frun', '', 'api.moby.localhost']) {
    t.is((await engine.send('GET', '/_ping', { headers: { host } })).text, 'OK', host);
  }
});

test('lists of containers, volumes and networks are empty, and their prunes remove nothing', async (t) => {
  const engine = await Engine.start(t);
  t.deepEqual(await engine.get('/containers/json?all=1'), []);
  t.deepEqual(await engine.get('/networks'), []);
  t.deepEqual(await engine.get('/volumes'), { Volumes: [], Warnings: null });
  for (const part of ['containers', 'networks', 'volumes', 'build']) {
    t.is((await engine.send('POST', `/${part}/prune`)).status, 200, part);
  }
});

test('what imagelog does not do is refused with a message that says what it is', async (t) => {
  const engine = await Engine.start(t);
  for (const [method, path] of [
    ['POST', '/containers/create'],
    ['POST', '/v1.41/build?t=x'],
    ['POST', '/commit?container=x'],
    ['POST', '/auth'],
    ['GET', '/plugins/privileges?remote=x'],
    ['GET', '/distribution/x/json'],
    ['GET', '/images/search?term=x'],
    ['POST', '/volumes/create'],
    ['GET', '/v4.3.1/libpod/images/json'],
    ['POST', '/libpod/images/load'],
  ] as const) {
    const { status, text } = await engine.send(method, path);
    t.is(status, 501, path);
    t.regex(text, /^\{"message":"imagelog is a store of images, it does not /);
  }
});

const MISSING: readonly (readonly [method: string, path: string, message: string])[] = [
  ['GET', '/containers/x/json', 'No such container: x'],
  ['DELETE', '/containers/x?force=1', 'No such container: x'],
  ['POST', '/containers/x/stop', 'No such container: x'],
  ['GET', '/containers/a/b:1/json', 'No such container: a/b:1'],
  ['GET', '/exec/x/json', 'No such exec instance: x'],
  ['DELETE', '/networks/x', 'network x not found'],
  ['POST', '/networks/x/disconnect', 'network x not found'],
  ['DELETE', '/volumes/x', 'get x: no such volume'],
  ['DELETE', '/plugins/a/b:1', 'plugin "a/b:1" not found'],
];

test('a container, network or volume by any name is missing for every method', async (t) => {
  const engine = await Engine.start(t);
  for (const [method, path, message] of MISSING) {
    const { status, text } = await engine.send(method, path);
    t.deepEqual([status, text], [404, `${JSON.stringify({ message })}\n`], path);
  }
});

test('before 1.24 the body of a failure is its message: skopeo shows it as it is', async (t) => {
  const engine = await Engine.start(t);
  const answers = await Promise.all(
    ['v1.23', 'v1.24'].map((version) => engine.send('GET', `/${version}/images/x/json`)),
  );
  t.deepEqual(
    answers.map(({ status, headers, text }) => [status, headers['content-type'], text]),
    [
      [404, 'text/plain; charset=utf-8', 'No such image: x:latest\n'],
      [404, 'application/json', '{"message":"No such image: x:latest"}\n'],
    ],
  );
});

test('requests about a swarm answer 503, as a daemon outside of one does', async (t) => {
  const engine = await Engine.start(t);
  for (const path of ['/swarm', '/nodes', '/services/x', '/tasks', '/secrets', '/configs']) {
    const { status, text } = await engine.send('GET', path);
    t.is(status, 503, path);
    t.regex(text, /^\{"message":"This node is not a swarm manager: imagelog is a store of images"/);
  }
});

test('a registry that cannot be reached is a failure with a message', async (t) => {
  const engine = await Engine.start(t);
  const { status, text } = await engine.send('POST', '/images/create?fromImage=localhost:1/x&tag=1');
  t.is(status, 500);
  t.regex(text, /^\{"message":"cannot reach localhost:1: /);
});

test('podman gets a ping, so that it shows why nothing else works', async (t) => {
  const engine = await Engine.start(t);
  t.is((await engine.send('GET', '/v4.3.1/libpod/_ping')).text, 'OK');
  const { text } = await engine.send('GET', '/v5.4.0/libpod/info');
  t.regex(text, /imagelog is a store of images, it does not speak podman's API/);
});

test('HEAD is for the ping alone: a feed would never end', async (t) => {
  const engine = await Engine.start(t);
  for (const path of ['/images/json', '/events', '/images/get?names=x']) {
    t.is((await engine.send('HEAD', path)).status, 404, path);
  }
});

const REFUSED: readonly (readonly [request: string, status: number])[] = [
  ['GET /a b HTTP/1.1\r\n\r\n', 400],
  ['OPTIONS * HTTP/1.1\r\nhost: d\r\nconnection: close\r\n\r\n', 400],
  ['CONNECT d:1 HTTP/1.1\r\nhost: d\r\n\r\n', 405],
  ['GET /_ping HTTP/1.1\r\nhost: d\r\nexpect: x\r\n\r\n', 417],
  [`GET /_ping HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['POST /images/load HTTP/1.1\r\nhost: d\r\ncontent-length: 9\r\n\r\nx', 408],
];

test('what is refused before any route has the body that clients of docker read', async (t) => {
  const engine = await Engine.start(t, { server: { limits: { stallTimeoutMs: 100 } } });
  for (const [sent, status] of REFUSED) {
    const socket = connect(engine.socket, () => socket.write(sent));
    const text = (await socket.toArray()).join('');
    t.true(text.startsWith(`HTTP/1.1 ${status} `), text);
    t.regex(text, /\{"message":"[^"]+"\}\n/);
  }
});

test('all listeners of a server have one limit of requests', async (t) => {
  const engine = await Engine.start(t, {
    listen: [{ host: '127.0.0.1', port: 0 }],
    server: { limits: { maxRequests: 1 } },
  });
  const upload = request({ socketPath: engine.socket, method: 'POST', path: '/images/load', agent: false });
  upload.on('error', () => undefined);
  upload.flushHeaders();
  const [url = ''] = engine.urls;
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const { status } = await fetch(`${url}/v2/`);
    if (status === 503) break;
    t.is(status, 200);
  }
  t.is((await fetch(`${url}/v2/`)).status, 503);
  const { status, text } = await engine.send('GET', '/images/json');
  t.deepEqual([status, text], [503, '{"message":"1 requests are in progress"}\n']);
  upload.destroy();
});

test('a refused upload is answered although its client sends no end', async (t) => {
  const engine = await Engine.start(t);
  const sent = request({ socketPath: engine.socket, method: 'POST', path: '/build', agent: false });
  sent.on('error', () => undefined);
  sent.write('x');
  const start = performance.now();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  t.is(answer.statusCode, 501);
  t.true(performance.now() - start > DISCARDED_BODY_MS / 2);
  answer.resume();
  sent.destroy();
});

test('a request to change the protocol is refused as any other', async (t) => {
  const engine = await Engine.start(t);
  const headers = { connection: 'Upgrade', upgrade: 'h2c' };
  const sent = request({ socketPath: engine.socket, method: 'POST', path: '/session', headers });
  const status = new Promise((resolve) => sent.once('response', (answer) => resolve(answer.resume().statusCode)));
  sent.end();
  t.is(await status, 501);
});

test('the socket has the mode of the other, and its owner is the actor', async (t) => {
  const engine = await Engine.start(t, { socketMode: 0o660 });
  t.is((await stat(engine.socket)).mode & 0o777, 0o660);
  await engine.send('POST', '/images/create?fromSrc=-', { body: Buffer.alloc(1_024) });
  for await (const { actor, via } of engine.store.log.read()) {
    t.regex(actor, /^group:/);
    t.is(via, 'docker');
  }
  t.true(engine.store.log.head.seq > 0);
});

test('an access file says who may what', async (t) => {
  const access = await accessFrom({ socket: { peer: 'mode' }, rules: [{ who: 'group:*', may: ['read'] }] });
  const engine = await Engine.start(t, { socketMode: 0o660, server: { access } });
  t.is((await engine.send('GET', '/_ping')).status, 200);
  t.deepEqual(await engine.get('/images/json'), []);
  const { status, text } = await engine.send('POST', '/images/load', { body: Buffer.alloc(1_024) });
  t.deepEqual([status, text], [403, '{"message":"may not push"}\n']);
});

test('a socket at which a server listens is refused, and nothing else stays open', async (t) => {
  const engine = await Engine.start(t);
  const store = await openTestStore(t);
  const socket = join(await temporaryDirectory(t), 's');
  const options = { server: {}, listen: [], onNotice: () => undefined, socket, docker: [engine.socket] };
  await rejection(t, 'ADDRESS_IN_USE', serveStore(store, options));
  await t.throwsAsync(stat(socket), { code: 'ENOENT' });
});

test('several sockets are served, and removed when the server stops', async (t) => {
  const store = await openTestStore(t);
  const folder = await temporaryDirectory(t);
  const docker = ['a', 'b'].map((name) => join(folder, name));
  const served = await serveStore(store, { server: {}, listen: [], onNotice: () => undefined, docker });
  t.deepEqual(
    served.urls,
    docker.map((path) => `unix:${path}`),
  );
  await served.stop(0);
  for (const path of docker) await t.throwsAsync(stat(path), { code: 'ENOENT' });
});
