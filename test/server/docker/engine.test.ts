import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
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
  ['/v2.0/images/json', 404, 'page not found'],
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
    ['DELETE', '/images/x?platforms=%7B%7D'],
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

test('a container, network or volume by any name is missing, whatever is done to it', async (t) => {
  const engine = await Engine.start(t);
  for (const [method, path, message] of MISSING) {
    const { status, text } = await engine.send(method, path);
    t.deepEqual([status, text], [404, `${JSON.stringify({ message })}\n`], path);
  }
});

test('what a swarm has is refused with the status by which SDKs know that there is none', async (t) => {
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
