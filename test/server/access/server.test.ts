import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, createServer as createHttpServer, request, type Server } from 'node:http';
import { createServer as createHttpsServer, request as requestTls } from 'node:https';
import { createRequire } from 'node:module';
import { type AddressInfo, connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_LOGIN_FAILURES_PER_USER } from '../../../src/limits.js';
import type { Access, Refusal } from '../../../src/server/access/access.js';
import { accessFrom } from '../../../src/server/access/access-from.js';
import type { Rule } from '../../../src/server/access/options.js';
import { peerFinder } from '../../../src/server/access/peers.js';
import { createServer } from '../../../src/server/create-server.js';
import { bindSocket } from '../../../src/server/service/socket.js';
import { authority } from '../../support/authority.js';
import { imageNamed, push } from '../../support/pushed-images.js';
import { requires, testOrSkip } from '../../support/requires.js';
import { storeError } from '../../support/store-error.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { basic, connection, htpasswdLines } from './credentials.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

const alice = basic('alice', 'correct horse');
const anonymousRule: Rule = { who: 'anonymous', may: ['read'], repositories: ['public/*'] };

/** The listener of a server over an empty store, and what it refused. */
async function listenerOf(t: ExecutionContext, access: Access) {
  const refusals: Refusal[] = [];
  const store = await openTestStore(t);
  const server = createServer(store, {
    access,
    onRefusal: (refusal) => refusals.push(refusal),
    onFailure: (error) => t.fail(String(error)),
  });
  t.teardown(() => server.close());
  return { server, refusals, store };
}

/** Listens on `where` (default a port of this machine) until the test ends; returns its port. */
async function listen(t: ExecutionContext, server: Server, where?: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (where === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(where, resolve);
  });
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return typeof server.address() === 'string' ? 0 : (server.address() as AddressInfo).port;
}

/** A users file with alice, and a server that lets its users read. */
async function passwordServer(t: ExecutionContext, ...more: readonly Rule[]) {
  const users = join(await temporaryDirectory(t), 'users');
  writeFileSync(users, htpasswdLines.alice);
  const rules: readonly Rule[] = [{ who: '*', may: ['read'], repositories: ['shop/*'] }, ...more];
  const { server, refusals, store } = await listenerOf(t, await accessFrom({ users, rules }));
  const port = await listen(t, createHttpServer(server.listener));
  const get = (path: string, headers: Record<string, string | readonly string[]> = {}): Promise<Answer> =>
    answerTo(request({ port, host: '127.0.0.1', path, headers: headers as Record<string, string>, agent: false }));
  return { server, refusals, store, port, get };
}

async function answerTo(sent: ReturnType<typeof request>): Promise<Answer> {
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks = await response.setEncoding('utf8').toArray();
  const body: unknown = JSON.parse(chunks.join('') || 'null');
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

const codeOf = ({ body }: Answer): unknown => (body as { errors: [{ code: string }] }).errors[0].code;

test('a registry client is asked to log in, logs in, and is told what it may not', async (t) => {
  const { get, refusals } = await passwordServer(t);
  const asked = await get('/v2/');
  t.is(asked.status, 401);
  t.is(codeOf(asked), 'UNAUTHORIZED');
  t.is(asked.headers['www-authenticate'], 'Basic realm="imagelog", charset="UTF-8"');
  const loggedIn = await get('/v2/', { authorization: alice });
  t.is(loggedIn.status, 200);
  t.is(loggedIn.headers['docker-distribution-api-version'], 'registry/2.0');
  const wrong = await get('/v2/?secret', { authorization: basic('alice', 'secret') });
  t.is(wrong.status, 401);
  t.is(wrong.headers['www-authenticate'], 'Basic realm="imagelog", charset="UTF-8"');
  t.is((await get('/v2/', { authorization: basic('a\0', 'secret') })).status, 400);
  t.deepEqual(
    refusals.map(({ time, ...facts }) => {
      t.true(Math.abs(time - Date.now()) < 60_000);
      return facts;
    }),
    [
      { address: '127.0.0.1', user: undefined, status: 401, reason: 'no credentials to use this server', path: '/v2/' },
      { address: '127.0.0.1', user: 'alice', status: 401, reason: 'wrong name or password', path: '/v2/' },
      {
        address: '127.0.0.1',
        user: undefined,
        status: 400,
        reason: 'a control character in a name or password',
        path: '/v2/',
      },
    ],
  );
  t.notRegex(JSON.stringify(refusals), /secret/);
});

test('the catalog asks for credentials, and has what its reader may read', async (t) => {
  const { get, store } = await passwordServer(t);
  const image = await imageNamed('a');
  for (const repository of ['docker.io/secret/app', 'docker.io/shop/app']) await push(store, repository, image);
  t.is((await get('/v2/_catalog')).status, 401);
  const listed = await get('/v2/_catalog', { authorization: alice });
  t.is(listed.status, 200);
  t.deepEqual(listed.body, { repositories: ['shop/app'] });
});

test('two headers Authorization are refused, even if both are right', async (t) => {
  const { get } = await passwordServer(t);
  const doubled = await get('/v2/', { authorization: [alice, alice] });
  t.is(doubled.status, 400);
  t.is(codeOf(doubled), 'REQUEST_INVALID');
  t.is((await get('/v2/', { authorization: alice })).status, 200);
});

test('too many guesses are answered with 429 and when to come back', async (t) => {
  const { get, refusals } = await passwordServer(t);
  const guesses = Array.from({ length: MAX_LOGIN_FAILURES_PER_USER }, (_, at) => basic('alice', String(at)));
  for (const authorization of guesses) t.is((await get('/v2/', { authorization })).status, 401);
  const slowed = await get('/v2/', { authorization: alice });
  t.is(slowed.status, 429);
  t.is(codeOf(slowed), 'TOOMANYREQUESTS');
  t.true(Number(slowed.headers['retry-after']) > 0);
  t.is(refusals.at(-1)?.reason, 'too many failed logins');
});

test('where anyone may read, clients get a token for their credentials, or for none', async (t) => {
  const { get, port } = await passwordServer(t, anonymousRule);
  const asked = await get('/v2/');
  t.is(asked.status, 401);
  t.is(asked.headers['www-authenticate'], `Bearer realm="http://127.0.0.1:${port}/v2/token",service="imagelog"`);
  for (const headers of [{}, { authorization: alice }]) {
    const given = await get('/v2/token?service=imagelog&scope=repository:public/app:pull', headers);
    t.is(given.status, 200);
    t.is(given.headers['cache-control'], 'no-store');
    const { token, access_token: same, expires_in: seconds, issued_at: at } = given.body as Record<string, string>;
    t.is(token, same);
    t.is(Number(seconds), 300);
    t.false(Number.isNaN(Date.parse(at ?? '')));
    t.is((await get('/v2/', { authorization: `Bearer ${token}` })).status, 200);
  }
  t.is((await get('/v2/token', { authorization: basic('alice', 'wrong') })).status, 401);
});

test('without anonymous readers, a token needs credentials', async (t) => {
  const { get } = await passwordServer(t);
  t.is((await get('/v2/token')).status, 401);
  t.is((await get('/v2/token', { authorization: alice })).status, 200);
});

test('a program that calls fetch has the rights of what it shows', async (t) => {
  const { server } = await passwordServer(t);
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await server.fetch(new Request('http://h/v2/', { headers }))).status;
  t.is(await status({}), 401);
  t.is(await status({ authorization: alice }), 200);
  t.is(await status({ authorization: `${alice}, ${alice}` }), 400);
});

/** A unix socket with this mode; returns what a client without credentials is. */
async function throughSocket(t: ExecutionContext, mode: number, rules: readonly Rule[] = []): Promise<Answer> {
  const { server } = await listenerOf(t, await accessFrom({ rules }));
  const socketPath = join(await temporaryDirectory(t), 's');
  await listen(t, createHttpServer(server.listener), socketPath);
  chmodSync(socketPath, mode);
  return answerTo(request({ socketPath, path: '/v2/', agent: false }));
}

test('the owner of a socket that only the owner can write to may do everything', async (t) => {
  t.is((await throughSocket(t, 0o600)).status, 200);
  t.is((await throughSocket(t, 0o755)).status, 200);
});

test('the socket that serve binds names its owner', async (t) => {
  const { server } = await listenerOf(t, await accessFrom({ rules: [] }));
  const socketPath = join(await temporaryDirectory(t), 's');
  const http = createHttpServer(server.listener);
  const remove = await bindSocket(http, socketPath);
  t.teardown(async () => {
    http.close();
    await remove();
  });
  t.is((await answerTo(request({ socketPath, path: '/v2/', agent: false }))).status, 200);
});

test('who else can write to a socket has the rights of the rules', async (t) => {
  t.is((await throughSocket(t, 0o666)).status, 403);
  t.is((await throughSocket(t, 0o660)).status, 403);
  t.is((await throughSocket(t, 0o660, [{ who: 'group:*', may: ['read'] }])).status, 200);
  t.is((await throughSocket(t, 0o666, [{ who: 'group:*', may: ['read'] }])).status, 403);
});

test('the mode of a socket names its owner, or its group', async (t) => {
  const socketPath = join(await temporaryDirectory(t), 's');
  await listen(t, createHttpServer(), socketPath);
  const find = peerFinder({ peer: 'mode' });
  const peer = (mode: number) => {
    chmodSync(socketPath, mode);
    return find(connection({ kind: 'unix', socketPath }));
  };
  t.deepEqual(peer(0o600), { names: [userInfo().username], isOwner: true });
  const { names, isOwner } = peer(0o660);
  t.regex(names.join(' '), /^group:[^ ]+$/);
  t.false(isOwner);
  t.deepEqual(peer(0o666), { names: [], isOwner: false });
  t.deepEqual(find(connection({ kind: 'unix', socketPath: `${socketPath}.gone` })), { names: [], isOwner: false });
  t.deepEqual(find(connection({ kind: 'unix' })), { names: [], isOwner: false });
});

test('the kernel names the peer, and the mode its group', async (t) => {
  const socketPath = join(await temporaryDirectory(t), 's');
  await listen(t, createHttpServer(), socketPath);
  chmodSync(socketPath, 0o660);
  const uids = new Map([
    [3, process.getuid?.() ?? 0],
    [4, 4_000_000_000],
  ]);
  const find = peerFinder({ peer: 'kernel' }, () => (descriptor) => uids.get(descriptor));
  const names = (descriptor: number | undefined): string =>
    find(connection({ kind: 'unix', socketPath, descriptor }))
      .names.join(' ')
      .replace(/group:[^ ]+/, 'group');
  t.is(names(3), `${userInfo().username} group`);
  t.is(names(4), 'uid:4000000000 group');
  t.is(names(5), 'group', 'the kernel does not say');
  t.is(names(undefined), 'group');
  t.true(find(connection({ kind: 'unix', descriptor: 3 })).isOwner);
  t.false(find(connection({ kind: 'unix', descriptor: 4 })).isOwner);
});

const hasKoffi = findsKoffi();

function findsKoffi(): boolean {
  try {
    createRequire(import.meta.url).resolve('koffi');
    return true;
  } catch {
    return false;
  }
}

testOrSkip(hasKoffi ? undefined : 'koffi not installed')('the kernel says who is at the other end', async (t) => {
  const { server } = await listenerOf(t, await accessFrom({ socket: { peer: 'kernel' }, rules: [] }));
  const socketPath = join(await temporaryDirectory(t), 's');
  await listen(t, createHttpServer(server.listener), socketPath);
  chmodSync(socketPath, 0o666);
  t.is((await answerTo(request({ socketPath, path: '/v2/', agent: false }))).status, 200);
});

testOrSkip(hasKoffi ? 'koffi installed' : undefined)('without koffi the kernel cannot be asked', (t) => {
  const { message } = storeError(t, 'ACCESS_INVALID', () => peerFinder({ peer: 'kernel' }));
  t.regex(message, /^socket\.peer of the access options: expected (the package koffi|mode)/);
});

test('a client that is gone is not taken for one of a unix socket', async (t) => {
  const seen: string[] = [];
  const access: Access = {
    authenticate: async ({ connection: from }) => {
      seen.push(`${from?.kind} ${from?.isLoopback}`);
      throw new Error('stop');
    },
    challenge: () => undefined,
    sessionToken: () => undefined,
  };
  const server = createServer(await openTestStore(t), { access, onFailure: () => undefined });
  const handled = new Promise<void>((resolve) => {
    const http = createHttpServer((req, res) => {
      req.socket.destroy();
      server.listener(req, res);
      setImmediate(resolve);
    });
    void listen(t, http).then((port) => connect(port, '127.0.0.1').end('GET /v2/ HTTP/1.1\r\nhost: h\r\n\r\n'));
  });
  await handled;
  t.is(seen.length, 1);
  t.regex(seen[0] ?? '', /^tcp /);
});

const needsOpenssl = requires('openssl');

needsOpenssl('a client certificate that the authority signed is a login', async (t) => {
  const { ca, issue } = await authority(t);
  const rules: readonly Rule[] = [{ who: 'builder', by: ['certificate'], may: ['read', 'push'] }];
  const { server, refusals } = await listenerOf(t, await accessFrom({ certificates: { user: 'CN' }, rules }));
  const tls = { ...issue('server', '/CN=localhost', 'IP:127.0.0.1'), ca, requestCert: true, rejectUnauthorized: false };
  const port = await listen(t, createHttpsServer(tls, server.listener));
  const get = (client: object): Promise<Answer> =>
    answerTo(requestTls({ port, host: '127.0.0.1', path: '/v2/', ca, agent: false, ...client }));
  t.is((await get(issue('builder', '/CN=builder'))).status, 200);
  t.is((await get({})).status, 403, 'without a certificate');
  t.is((await get(issue('two', '/CN=eve/CN=builder'))).status, 403, 'with two names');
  t.is((await get(issue('none', '/O=builder'))).status, 403, 'without a name');
  const { issue: issueElsewhere } = await authority(t);
  t.is((await get(issueElsewhere('builder', '/CN=builder'))).status, 403, 'of another authority');
  t.deepEqual(
    refusals.map(({ reason }) => reason),
    [
      'may not use this server',
      'a certificate without exactly one name of the kind CN',
      'a certificate without exactly one name of the kind CN',
      'may not use this server',
    ],
  );
});

needsOpenssl('a name in a client certificate may be an alternative one', async (t) => {
  const { ca, issue } = await authority(t);
  const tls = { ...issue('server', '/CN=localhost', 'IP:127.0.0.1'), ca, requestCert: true };
  const kinds = ['email', 'DNS', 'URI'] as const;
  const rules: readonly Rule[] = ['ci@shop', 'ci.shop', 'spiffe://shop/ci'].map((who) => ({ who, may: ['read'] }));
  const one = issue('one', '/CN=x', 'email:ci@shop,DNS:ci.shop,URI:spiffe://shop/ci');
  const two = issue('two', '/CN=x', 'email:a@shop,email:ci@shop,DNS:ci.shop,DNS:a,URI:b:c,URI:spiffe://shop/ci');
  // Each name holds the one of a user: Node quotes it, so that it is not taken for two.
  const names = ['email.1=x, email:ci@shop', 'DNS.1=x, DNS:ci.shop', 'URI.1=x:y, URI:spiffe://shop/ci'];
  const hidden = issue('hidden', '/CN=x', `@names\n[names]\n${names.join('\n')}`);
  for (const user of kinds) {
    const { server } = await listenerOf(t, await accessFrom({ certificates: { user }, rules }));
    const port = await listen(t, createHttpsServer(tls, server.listener));
    const status = async (client: object): Promise<number> =>
      (await answerTo(requestTls({ port, host: '127.0.0.1', path: '/v2/', ca, agent: false, ...client }))).status;
    t.is(await status(one), 200, user);
    t.is(await status(two), 403, user);
    t.is(await status(hidden), 403, user);
  }
});

test('clients get their tokens by TLS where a trusted proxy has it, and by what they used elsewhere', async (t) => {
  const users = join(await temporaryDirectory(t), 'users');
  writeFileSync(users, htpasswdLines.alice);
  const access = await accessFrom({ users, rules: [anonymousRule] });
  const headers = { host: 'images.example', 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' };
  const realmBehind = async (trustedProxies: readonly string[]): Promise<string | undefined> => {
    const server = createServer(await openTestStore(t), { access, trustedProxies });
    t.teardown(() => server.close());
    const port = await listen(t, createHttpServer(server.listener));
    const asked = await answerTo(request({ port, host: '127.0.0.1', path: '/v2/', headers, agent: false }));
    return /realm="([^"]*)"/.exec(asked.headers['www-authenticate'] ?? '')?.[1];
  };
  t.is(await realmBehind(['127.0.0.1']), 'https://images.example/v2/token');
  t.is(await realmBehind([]), 'http://images.example/v2/token');
});
