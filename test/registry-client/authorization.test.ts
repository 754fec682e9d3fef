import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { StoreError } from '../../src/errors.js';
import { digestOf } from '../../src/model/digest.js';
import { parseChallenges } from '../../src/registry-client/authorization.js';
import type { Credentials, FindCredentials } from '../../src/registry-client/credentials.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { type RegistryOptions, RegistrySession } from '../../src/registry-client/registry-session.js';
import { collect } from '../support/build-tar.js';
import { bodyOf, fail, type FakeRegistry, fakeRegistry, json } from '../support/fake-registry.js';
import { addImage } from '../support/registry-images.js';
import { rejection } from '../support/rejection.js';

const ann: Credentials = { type: 'password', username: 'ann', password: 'topsecret' };
const ANN = `Basic ${Buffer.from('ann:topsecret').toString('base64')}`;

const found =
  (credentials: Credentials | undefined): FindCredentials =>
  async () => ({ credentials, places: ['~/.docker/config.json (found)'] });

function clientOf(t: ExecutionContext, registry: FakeRegistry, options: RegistryOptions = {}): RegistryClient {
  const session = new RegistrySession(registry.host, { wait: async () => undefined, ...options });
  t.teardown(() => session.close());
  return new RegistryClient(session, 'shop/app');
}

/** Answers 401 with this challenge unless the request has this authorization. */
function guard(registry: FakeRegistry, challenge: string, authorization: () => string): void {
  registry.intercept = ({ headers }, response) => {
    if (headers.authorization === authorization()) return false;
    response.setHeader('www-authenticate', challenge);
    fail(response, 401, 'UNAUTHORIZED');
    return true;
  };
}

interface TokenServer extends FakeRegistry {
  tokens: number;
}

/** Makes `server` give tokens `t1`, `t2` …, if `allows` says so. */
function givesTokens(
  server: FakeRegistry,
  {
    allows = () => true,
    seconds = 300,
  }: { allows?: (request: IncomingMessage, body: string) => boolean; seconds?: number } = {},
): TokenServer {
  const counted = Object.assign(server, { tokens: 0 });
  server.intercept = async (request, response) => {
    const body = (await bodyOf(request)).toString();
    if (allows(request, body)) json(response, { token: `t${++counted.tokens}`, expires_in: seconds });
    else fail(response, 401, 'UNAUTHORIZED');
    return true;
  };
  return counted;
}

test('Basic sends the password of the host, only once asked and then at once', async (t) => {
  const registry = await fakeRegistry(t);
  const { manifest } = await addImage(registry, 'shop/app:1', ['one']);
  guard(registry, 'Basic realm="registry"', () => ANN);
  const client = clientOf(t, registry, { credentials: found(ann) });
  t.deepEqual((await client.manifest('1')).descriptor, manifest);
  await client.manifest('1');
  t.deepEqual(
    registry.seen.map(({ headers }) => headers.authorization),
    [undefined, ANN, ANN],
  );
});

test('Bearer fetches a token of the scopes, anonymously or with the password, and keeps it', async (t) => {
  for (const credentials of [undefined, ann]) {
    const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
    await addImage(registry, 'shop/app:1', ['one']);
    const server = givesTokens(tokens);
    const challenge = `Bearer realm="http://${tokens.host}/token?x=1",service="reg",scope="repository:shop/app:pull"`;
    guard(registry, challenge, () => `Bearer t${server.tokens}`);
    const client = clientOf(t, registry, { credentials: found(credentials) });
    await client.manifest('1');
    await client.manifest('1');
    t.deepEqual(tokens.requests('GET'), ['GET /token?x=1&service=reg&scope=repository%3Ashop%2Fapp%3Apull']);
    t.is(tokens.seen[0]?.headers.authorization, credentials && ANN);
    await client.putBlob({ digest: digestOf(Buffer.from('x')), size: 1, mediaType: '' }, async function* () {
      yield Buffer.from('x');
    });
    t.regex(tokens.requests('GET')[1] ?? '', /scope=repository%3Ashop%2Fapp%3Apull%2Cpush$/);
  }
});

test('a token is renewed before its end, and when the registry no longer takes it', async (t) => {
  const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
  await addImage(registry, 'shop/app:1', ['one']);
  const server = givesTokens(tokens, { seconds: 60 });
  guard(registry, `Bearer realm="http://${tokens.host}/token"`, () => `Bearer t${server.tokens}`);
  let now = 0;
  const client = clientOf(t, registry, { now: () => now });
  await client.manifest('1');
  now += 45_000;
  await client.manifest('1');
  t.is(server.tokens, 1);
  now += 10_000;
  await client.manifest('1');
  t.is(server.tokens, 2);
  server.tokens += 1;
  await client.manifest('1');
  t.is(server.tokens, 4);
});

test('an identity token is exchanged in the body of a POST', async (t) => {
  const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
  await addImage(registry, 'shop/app:1', ['one']);
  const bodies: string[] = [];
  const server = givesTokens(tokens, { allows: (_, body) => bodies.push(body) > 0 });
  guard(registry, `Bearer realm="http://${tokens.host}/token",service="reg"`, () => `Bearer t${server.tokens}`);
  await clientOf(t, registry, { credentials: found({ type: 'identity', token: 'refresh' }) }).manifest('1');
  t.deepEqual(tokens.requests('GET', 'POST'), ['POST /token']);
  t.deepEqual(Object.fromEntries(new URLSearchParams(bodies[0])), {
    grant_type: 'refresh_token',
    client_id: 'imagelog',
    service: 'reg',
    scope: 'repository:shop/app:pull',
    refresh_token: 'refresh',
  });
});

test('an access token is sent as it is', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  guard(registry, 'Bearer realm="http://127.0.0.1:1/"', () => 'Bearer given');
  await t.notThrowsAsync(
    clientOf(t, registry, { credentials: found({ type: 'access', token: 'given' }) }).manifest('1'),
  );
});

test('a mount asks for the right to pull from the other repository', async (t) => {
  const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
  const server = givesTokens(tokens);
  guard(registry, `Bearer realm="http://${tokens.host}/token"`, () => `Bearer t${server.tokens}`);
  const blob = { digest: registry.addBlob('x'), size: 1, mediaType: '' };
  const guarded = registry.intercept;
  registry.intercept = (request, response) => {
    if (request.method !== 'HEAD') return guarded(request, response);
    fail(response, 404, 'BLOB_UNKNOWN');
    return true;
  };
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
  };
  t.is(await clientOf(t, registry).putBlob(blob, open, { mountFrom: ['base/os'] }), 'mounted');
  t.true(tokens.seen.some(({ url }) => url.includes('scope=repository%3Abase%2Fos%3Apull')));
});

/** Credentials that are replaced, and how often they were looked for. */
function replaceable(): { readonly find: FindCredentials; password: string; looked: number } {
  const state = { password: 'old', looked: 0 };
  const find: FindCredentials = async () => {
    state.looked += 1;
    return { credentials: { ...ann, password: state.password }, places: [] };
  };
  return Object.assign(state, { find });
}

const basicOf = (password: string): string => `Basic ${Buffer.from(`ann:${password}`).toString('base64')}`;

test('a refused password is looked for again, and kept while it is taken', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  let wanted = 'old';
  guard(registry, 'Basic realm="registry"', () => basicOf(wanted));
  const given = replaceable();
  const client = clientOf(t, registry, { credentials: given.find });
  await client.manifest('1');
  await client.manifest('1');
  t.is(given.looked, 1);
  [wanted, given.password] = ['new', 'new'];
  await client.manifest('1');
  await client.manifest('1');
  t.is(given.looked, 2);
});

test('a password that the token server refuses is looked for again, once', async (t) => {
  const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
  await addImage(registry, 'shop/app:1', ['one']);
  let wanted = 'old';
  const allows = ({ headers }: IncomingMessage): boolean => headers.authorization === basicOf(wanted);
  const server = givesTokens(tokens, { allows, seconds: 20 });
  guard(registry, `Bearer realm="http://${tokens.host}/token"`, () => `Bearer t${server.tokens}`);
  const given = replaceable();
  let now = 0;
  const client = clientOf(t, registry, { credentials: given.find, now: () => now });
  await client.manifest('1');
  [wanted, given.password, now] = ['new', 'new', 20_000];
  await client.manifest('1');
  t.is(given.looked, 2);
  [wanted, now] = ['other', 40_000];
  await rejection(t, 'REGISTRY_DENIED', client.manifest('1'));
  t.is(given.looked, 3);
});

test('a failed search for credentials is not remembered', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  guard(registry, 'Basic realm="registry"', () => ANN);
  let looked = 0;
  const credentials: FindCredentials = async (...of) => {
    if (++looked === 1) throw new StoreError('IO_FAILED', 'no helper');
    return found(ann)(...of);
  };
  const client = clientOf(t, registry, { credentials });
  await rejection(t, 'IO_FAILED', client.manifest('1'));
  await t.notThrowsAsync(client.manifest('1'));
});

test('no credentials leave with a redirect to another host', async (t) => {
  const [registry, storage] = [await fakeRegistry(t), await fakeRegistry(t)];
  const digest = registry.addBlob('layer');
  storage.intercept = (_, response) => {
    response.end('layer');
    return true;
  };
  registry.intercept = ({ headers, url }, response) => {
    if (headers.authorization !== ANN) {
      response.setHeader('www-authenticate', 'Basic realm="r"');
      fail(response, 401, 'UNAUTHORIZED');
    } else {
      response.writeHead(307, { location: `http://${storage.host}${url}?signed=1` }).end();
    }
    return true;
  };
  const client = clientOf(t, registry, { credentials: found(ann) });
  t.is((await collect(client.blob(digest))).toString(), 'layer');
  t.is(storage.seen.length, 1);
  t.is(storage.seen[0]?.headers.authorization, undefined);
});

interface Refusal {
  readonly answer: (response: ServerResponse) => void;
  readonly says: RegExp;
  readonly credentials?: Credentials;
}

const challenged = (challenge: string) => (response: ServerResponse) => {
  response.setHeader('www-authenticate', challenge);
  fail(response, 401, 'UNAUTHORIZED');
};

const refusals: Readonly<Record<string, Refusal>> = {
  'a refused password': {
    answer: challenged('Basic realm="r"'),
    credentials: ann,
    says: /^127\.0\.0\.1:\d+ denied manifest 127\.0\.0\.1:\d+\/shop\/app:1: .* answered 401 \(UNAUTHORIZED: it is UNAUTHORIZED\); the credentials found were refused; looked in ~\/\.docker\/config\.json \(found\)$/,
  },
  'no password': { answer: challenged('Basic realm="r"'), says: /no credentials were found; looked in / },
  'a forbidden repository': { answer: (response) => fail(response, 403, 'DENIED'), says: /answered 403 \(DENIED/ },
  'no challenge': {
    answer: (response) => fail(response, 401, 'UNAUTHORIZED'),
    says: /Basic or Bearer expected, none found/,
  },
  'another scheme': { answer: challenged('Negotiate'), says: /Basic or Bearer expected, negotiate found/ },
  'a realm that is no address': { answer: challenged('Bearer realm="file:///x"'), says: /which is no address/ },
};

for (const [what, { answer, says, credentials }] of Object.entries(refusals)) {
  test(`${what} is REGISTRY_DENIED, with the host and without secrets`, async (t) => {
    const registry = await fakeRegistry(t);
    registry.intercept = (_, response) => {
      answer(response);
      return true;
    };
    const client = clientOf(t, registry, { credentials: found(credentials) });
    const error = await rejection(t, 'REGISTRY_DENIED', client.manifest('1'));
    t.regex(error.message, says);
    t.notRegex(JSON.stringify([error.message, error.data, String(error.cause)]), /topsecret/);
    t.true(registry.seen.length <= 2);
  });
}

test('a token server that refuses, fails or answers nonsense is told by its host', async (t) => {
  const [registry, tokens] = [await fakeRegistry(t), await fakeRegistry(t)];
  guard(registry, `Bearer realm="http://${tokens.host}/token"`, () => 'never');
  const client = clientOf(t, registry, { credentials: found(ann) });
  const answers: readonly (readonly [number, string, Parameters<typeof rejection>[1], RegExp])[] = [
    [403, '', 'REGISTRY_DENIED', /which gives tokens for .* answered 403/],
    [500, '', 'REGISTRY_UNAVAILABLE', /which gives tokens for .* answered 500, in 5 attempts/],
    [200, 'topsecret', 'REGISTRY_INVALID', /expected JSON with a token/],
    [200, '{"token":"a\\nb"}', 'REGISTRY_INVALID', /expected JSON with a token/],
  ];
  for (const [status, text, code, says] of answers) {
    tokens.intercept = (_, response) => {
      response.writeHead(status).end(text);
      return true;
    };
    const error = await rejection(t, code, client.manifest('1'));
    t.regex(error.message, says);
    t.notRegex(JSON.stringify([error.message, error.data]), /topsecret/);
  }
});

test('challenges are parsed with quotes, commas and several schemes', (t) => {
  const parsed = parseChallenges('Basic realm="a, \\"b\\"", Bearer realm=http://x/y , scope="p:q:pull,push",error="x"');
  t.deepEqual(
    parsed.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]),
    [
      ['basic', { realm: 'a, "b"' }],
      ['bearer', { realm: 'http://x/y', scope: 'p:q:pull,push', error: 'x' }],
    ],
  );
  t.deepEqual(parseChallenges(undefined), []);
  t.is(parseChallenges('Negotiate')[0]?.scheme, 'negotiate');
});
