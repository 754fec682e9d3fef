import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import {
  ACCESS_FILE_CHECK_MS,
  JWKS_COOLDOWN_MS,
  JWKS_MAX_AGE_MS,
  JWKS_TIMEOUT_MS,
  MAX_ACCESS_FILE_BYTES,
  MAX_ACTOR_BYTES,
} from '../../../src/limits.js';
import type { TokenIssuer } from '../../../src/server/access/options.js';
import { isToken, TokenFailure, Tokens } from '../../../src/server/access/tokens.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const ISSUER = 'https://ci.example';
/** A whole second. */
const NOW = 1_700_000_000_000;
const now = NOW / 1000;

/** A key pair, its public half as a JWK. */
async function makeKey(kid: string | undefined, alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), ...(kid === undefined ? {} : { kid }) };
  const sign = (claims: JWTPayload, header: object = {}): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...header }).sign(privateKey);
  return { jwk, sign, publicKey };
}

type Key = Awaited<ReturnType<typeof makeKey>>;

const good: JWTPayload = { iss: ISSUER, aud: 'imagelog', sub: 'repo:shop/app', exp: now + 60 };

/** Verifier of tokens that `keys` sign, from a file. */
async function tokensOf(t: ExecutionContext, keys: readonly Key[], facts: Partial<TokenIssuer> = {}) {
  const file = join(await temporaryDirectory(t), 'keys.json');
  const write = (some: readonly Key[]): Promise<void> =>
    writeFile(file, JSON.stringify({ keys: some.map(({ jwk }) => jwk) }));
  await write(keys);
  let time = NOW;
  const issuer = { issuer: ISSUER, audience: 'imagelog', keys: { file }, ...facts };
  const tokens = await Tokens.open([issuer], { now: () => time, onNotice: (notice) => t.log(notice) });
  return {
    tokens,
    write,
    pass: (ms: number): void => {
      time += ms;
    },
  };
}

async function failure(t: ExecutionContext, work: Promise<unknown>): Promise<string> {
  const { kind, message } = await t.throwsAsync(work, { instanceOf: TokenFailure });
  return `${kind}: ${message}`;
}

test('a token says who it is of, with which claims and until when', async (t) => {
  const key = await makeKey('1');
  const { tokens } = await tokensOf(t, [key]);
  const { identity, expiresMs } = await tokens.verify(await key.sign({ ...good, ref: 'refs/heads/main' }));
  t.deepEqual(identity.names, ['repo:shop/app']);
  t.is(identity.by, 'token');
  t.is(identity.issuer, ISSUER);
  t.is(identity.claims?.['ref'], 'refs/heads/main');
  t.is(expiresMs, NOW + 60_000);
});

for (const alg of ['RS256', 'PS256', 'ES384', 'EdDSA']) {
  test(`a token signed with ${alg} is taken`, async (t) => {
    const key = await makeKey('1', alg);
    const { tokens } = await tokensOf(t, [key]);
    t.deepEqual((await tokens.verify(await key.sign(good))).identity.names, ['repo:shop/app']);
  });
}

const refused = test.macro({
  title: (title = '') => `a token ${title} is refused`,
  exec: async (t: ExecutionContext, claims: JWTPayload, expected: string, facts: Partial<TokenIssuer> = {}) => {
    const key = await makeKey('1');
    const { tokens } = await tokensOf(t, [key], facts);
    t.is(await failure(t, tokens.verify(await key.sign(claims))), expected);
  },
});

const { exp: _, ...endless } = good;
const { aud: __, ...anywhere } = good;
test('that expired', refused, { ...good, exp: now - 5 }, 'unfit: an expired token');
test('that is not valid yet', refused, { ...good, nbf: now + 6 }, 'unfit: a token that is not valid yet');
test('without an end', refused, endless, 'unfit: a token with another exp');
test('for another audience', refused, { ...good, aud: 'another' }, 'unfit: a token with another aud');
test('without an audience', refused, anywhere, 'unfit: a token with another aud');
test('of another issuer', refused, { ...good, iss: 'https://evil.example' }, 'forged: a token of an unknown issuer');
test('without an issuer', refused, { sub: 'x' }, 'forged: a token of an unknown issuer');
test(
  'whose issuer is a list',
  refused,
  { ...good, iss: [ISSUER] as unknown as string },
  'forged: a token of an unknown issuer',
);
test('with an algorithm left out', refused, good, 'forged: a token with an algorithm that is not allowed', {
  algorithms: ['RS256'],
});
test('without the claim of the actor', refused, good, 'unfit: a token without the claim job that names the actor', {
  actor: 'ci:{job}',
});
test(
  'with two values of the actor',
  refused,
  { ...good, job: ['a', 'b'] },
  'unfit: a token without the claim job that names the actor',
  { actor: '{job}' },
);
test('with an empty actor', refused, { ...good, sub: '' }, 'unfit: a token whose claims make no name of an actor');
test(
  'with a NUL in the actor',
  refused,
  { ...good, sub: 'a\0' },
  'unfit: a token whose claims make no name of an actor',
);
test(
  'with a long actor',
  refused,
  { ...good, sub: 'a'.repeat(MAX_ACTOR_BYTES + 1) },
  'unfit: a token whose claims make no name of an actor',
);

test('the clock may differ by the tolerance', async (t) => {
  const key = await makeKey('1');
  const { tokens } = await tokensOf(t, [key], { clockToleranceSeconds: 60 });
  await t.notThrowsAsync(tokens.verify(await key.sign({ ...good, exp: now - 59 })));
  await t.notThrowsAsync(tokens.verify(await key.sign({ ...good, nbf: now + 60 })));
});

test('one of several audiences is enough', async (t) => {
  const key = await makeKey('1');
  const { tokens } = await tokensOf(t, [key], { audience: ['a', 'imagelog'] });
  await t.notThrowsAsync(tokens.verify(await key.sign({ ...good, aud: ['x', 'imagelog'] })));
});

test('claims make the name of the actor', async (t) => {
  const key = await makeKey('1');
  const { tokens } = await tokensOf(t, [key], { actor: 'ci:{repository}#{run}' });
  const token = await key.sign({ ...good, repository: 'shop/app', run: 12 });
  t.deepEqual((await tokens.verify(token)).identity.names, ['ci:shop/app#12']);
});

test('a token with alg none is refused', async (t) => {
  const { tokens } = await tokensOf(t, [await makeKey('1')]);
  const unsecured = new UnsecuredJWT(good).encode();
  t.true(isToken(unsecured));
  t.is(await failure(t, tokens.verify(unsecured)), 'forged: a token with an algorithm that is not allowed');
});

test('a token signed with HS256 by the public key as secret is refused', async (t) => {
  const key = await makeKey('1', 'RS256');
  const { tokens } = await tokensOf(t, [key]);
  for (const secret of [await exportSPKI(key.publicKey), JSON.stringify(key.jwk)]) {
    const confused = await new SignJWT(good)
      .setProtectedHeader({ alg: 'HS256', kid: '1' })
      .sign(new TextEncoder().encode(secret));
    t.is(await failure(t, tokens.verify(confused)), 'forged: a token with an algorithm that is not allowed');
  }
});

test('a token signed by another key, changed, or with an unknown key is refused', async (t) => {
  const [key, other] = [await makeKey('1'), await makeKey('1')];
  const { tokens } = await tokensOf(t, [key]);
  t.is(await failure(t, tokens.verify(await other.sign(good))), 'forged: a token whose signature is wrong');
  const [head, , mac] = (await key.sign(good)).split('.');
  const changed = Buffer.from(JSON.stringify({ ...good, sub: 'root' })).toString('base64url');
  t.is(await failure(t, tokens.verify(`${head}.${changed}.${mac}`)), 'forged: a token whose signature is wrong');
  const unknown = await key.sign(good, { kid: '2' });
  t.is(await failure(t, tokens.verify(unknown)), 'forged: a token signed with an unknown key');
  const critical = await key.sign(good, { crit: ['b64'], b64: true });
  await t.notThrowsAsync(tokens.verify(critical));
});

test('a key in the token itself is not used', async (t) => {
  const [key, evil] = [await makeKey('1'), await makeKey(undefined)];
  const { tokens } = await tokensOf(t, [key]);
  const token = await evil.sign(good, { jwk: evil.jwk });
  t.is(await failure(t, tokens.verify(token)), 'forged: a token whose signature is wrong');
});

test('a token that names no key of several is refused', async (t) => {
  const keys = [await makeKey(undefined), await makeKey(undefined)] as const;
  const { tokens } = await tokensOf(t, keys);
  const token = await keys[0].sign(good);
  t.is(await failure(t, tokens.verify(token)), 'forged: a token that does not say which key signed it');
});

for (const text of ['', 'a.b.c', 'eyJ.x.y', `eyJ${'x'.repeat(10_000)}.e30.x`, 'eyJhbGciOiJFUzI1NiJ9..', '...']) {
  test(`${text.slice(0, 40)} (${text.length} characters) is a malformed token`, async (t) => {
    const { tokens } = await tokensOf(t, [await makeKey('1')]);
    t.regex(await failure(t, tokens.verify(text)), /^forged: a (malformed token|token of an unknown issuer)$/);
  });
}

test('a file of keys is read again: old keys leave, new ones come', async (t) => {
  const [old, next] = [await makeKey('1'), await makeKey('2')];
  const { tokens, write, pass } = await tokensOf(t, [old]);
  t.is(await failure(t, tokens.verify(await next.sign(good))), 'forged: a token signed with an unknown key');
  await write([next]);
  pass(ACCESS_FILE_CHECK_MS);
  await t.notThrowsAsync(tokens.verify(await next.sign(good)));
  t.is(await failure(t, tokens.verify(await old.sign(good))), 'forged: a token signed with an unknown key');
});

test('a file that is not a JWKS is refused', async (t) => {
  const file = join(await temporaryDirectory(t), 'keys.json');
  for (const text of ['', '[]', '{"keys":{}}']) {
    await writeFile(file, text);
    const options = { issuer: ISSUER, audience: 'x', keys: { file } };
    const opened = Tokens.open([options], { now: Date.now, onNotice: () => t.fail() });
    t.regex((await rejection(t, 'ACCESS_INVALID', opened)).message, /not a JWKS/);
  }
});

/** A server of keys, which counts what it was asked. */
async function keyServer(t: ExecutionContext, first: string) {
  const state = { text: first, status: 200, asked: 0 };
  const server = createServer((_request, response) => {
    state.asked += 1;
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(state.text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const options = { issuer: ISSUER, audience: 'imagelog', keys: { url } };
  const open = (): Promise<Tokens> => Tokens.open([options], { now: () => NOW, onNotice: () => t.fail() });
  return { state, server, open };
}

test('keys from an address are asked for once, and an unknown key asks again only after the cooldown', async (t) => {
  t.true(JWKS_COOLDOWN_MS >= 10_000 && JWKS_MAX_AGE_MS > JWKS_COOLDOWN_MS && JWKS_TIMEOUT_MS < JWKS_COOLDOWN_MS);
  const [key, next] = [await makeKey('1'), await makeKey('2')];
  const { state, open } = await keyServer(t, JSON.stringify({ keys: [key.jwk] }));
  const tokens = await open();
  t.is(state.asked, 0, 'a server starts without its issuers');
  for (let each = 0; each < 3; each++) await tokens.verify(await key.sign(good));
  for (let each = 0; each < 3; each++) {
    t.is(await failure(t, tokens.verify(await next.sign(good))), 'forged: a token signed with an unknown key');
  }
  t.is(state.asked, 1);
});

test('a key that its issuer replaced is found after the cooldown, and the old one leaves', async (t) => {
  const [key, next] = [await makeKey('1'), await makeKey('2')];
  const { state, open } = await keyServer(t, JSON.stringify({ keys: [key.jwk] }));
  const clock = Date.now;
  t.teardown(() => {
    Date.now = clock;
  });
  const tokens = await open();
  await tokens.verify(await key.sign(good));
  state.text = JSON.stringify({ keys: [next.jwk] });
  await t.throwsAsync(tokens.verify(await next.sign(good)));
  Date.now = () => clock() + JWKS_COOLDOWN_MS;
  await t.notThrowsAsync(tokens.verify(await next.sign(good)));
  t.is(state.asked, 2);
  t.is(await failure(t, tokens.verify(await key.sign(good))), 'forged: a token signed with an unknown key');
  Date.now = () => clock() + 2 * JWKS_MAX_AGE_MS;
  state.text = JSON.stringify({ keys: [key.jwk] });
  await t.notThrowsAsync(tokens.verify(await key.sign(good)), 'known keys are asked for again when they are old');
});

test('keys that cannot be had decide nothing, and the next token asks again', async (t) => {
  const key = await makeKey('1');
  const { state, server, open } = await keyServer(t, JSON.stringify({ keys: [key.jwk] }));
  const tokens = await open();
  const undecided = 'undecided: a token whose issuer’s keys cannot be had now';
  const token = await key.sign(good);
  const keys = state.text;
  for (const answer of [
    { status: 500 },
    { status: 302 },
    { text: 'no JSON' },
    { text: '{"keys":1}' },
    { text: `${' '.repeat(MAX_ACCESS_FILE_BYTES)}${keys}` },
  ]) {
    Object.assign(state, { status: 200, text: keys }, answer);
    t.is(await failure(t, tokens.verify(token)), undecided, JSON.stringify(answer).slice(0, 40));
  }
  Object.assign(state, { status: 200, text: keys });
  await t.notThrowsAsync(tokens.verify(token));
  const late = await open();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.is(await failure(t, late.verify(token)), undecided);
  await t.notThrowsAsync(tokens.verify(token), 'known keys still hold');
});
