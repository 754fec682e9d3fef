import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import {
  ACCESS_FILE_CHECK_MS,
  LOGIN_FAILURE_WINDOW_MS,
  MAX_LOGIN_FAILURES_PER_ADDRESS,
  MAX_LOGIN_FAILURES_PER_USER,
  SESSION_TOKEN_MS,
} from '../../../src/limits.js';
import {
  type Access,
  AccessRefusal,
  type Credentials,
  type Grant,
  localAccess,
} from '../../../src/server/access/access.js';
import { accessFrom } from '../../../src/server/access/access-from.js';
import type { AccessOptions, Rule } from '../../../src/server/access/options.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { basic, factsOf, htpasswdLines, presenting } from './credentials.js';

const app = 'docker.io/shop/app';
const rules: readonly Rule[] = [
  { who: '*', may: ['read'], repositories: ['shop/*'] },
  { who: { claims: { ref: 'main' } }, may: ['push'], repositories: ['shop/*'] },
];
const userRules: readonly Rule[] = [{ who: '*', may: ['read'] }];
const anonymousRules: readonly Rule[] = [...rules, { who: 'anonymous', may: ['read'], repositories: ['public/*'] }];
const alice = basic('alice', 'correct horse');
const bearer = (token: string): string => `Bearer ${token}`;

/** An access with alice and zoë, an issuer of tokens, and a clock. */
async function makeAccess(t: ExecutionContext, options: Partial<AccessOptions> = {}) {
  const directory = await temporaryDirectory(t);
  const [users, file] = [join(directory, 'users'), join(directory, 'keys')];
  await writeFile(users, `${htpasswdLines.alice}\n${htpasswdLines.zoë}\n`);
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  await writeFile(file, JSON.stringify({ keys: [await exportJWK(publicKey)] }));
  let time = 1_700_000_000_000;
  const notices: string[] = [];
  const access = await accessFrom(
    { users, tokens: [{ issuer: 'ci', audience: 'imagelog', keys: { file } }], rules, ...options },
    { now: () => time, onNotice: (notice) => void notices.push(notice) },
  );
  return {
    access,
    users,
    notices,
    pass: (ms: number): void => {
      time += ms;
    },
    token: (claims: object = {}, seconds = 3_600): Promise<string> =>
      new SignJWT({ iss: 'ci', aud: 'imagelog', sub: 'job', exp: time / 1000 + seconds, ...claims })
        .setProtectedHeader({ alg: 'ES256' })
        .sign(privateKey),
  };
}

async function refusal(t: ExecutionContext, access: Access, credentials: Credentials): Promise<AccessRefusal> {
  return await t.throwsAsync(access.authenticate(credentials), { instanceOf: AccessRefusal });
}

function summary(grant: Grant): unknown {
  const { actor, isLoggedIn, mayNameActor } = grant;
  const may = (['read', 'push', 'delete', 'admin'] as const).filter((action) => grant.may(action, app));
  return { actor, isLoggedIn, mayNameActor, may };
}

test('a name and password are a login with the rights of the rules', async (t) => {
  const { access } = await makeAccess(t);
  const grant = await access.authenticate(presenting(alice));
  t.deepEqual(summary(grant), { actor: 'alice', isLoggedIn: true, mayNameActor: false, may: ['read'] });
  t.false(grant.may('read'), 'not in the whole store');
  t.is((await access.authenticate(presenting(basic('zoë', 'pässwort')))).actor, 'zoë');
});

test('no credentials are no login and no right', async (t) => {
  const { access } = await makeAccess(t);
  for (const credentials of [presenting(), presenting(basic('', '')), { authorization: [], connection: undefined }]) {
    const grant = await access.authenticate(credentials);
    t.deepEqual(summary(grant), { actor: undefined, isLoggedIn: false, mayNameActor: false, may: [] });
    t.false(grant.hasRights);
  }
});

test('anonymous may read what a rule says, and so may users', async (t) => {
  const { access } = await makeAccess(t, { rules: anonymousRules });
  for (const headers of [[], [alice]]) {
    const grant = await access.authenticate(presenting(headers));
    t.true(grant.may('read', 'docker.io/public/app'));
    t.is(grant.may('read', app), headers.length > 0);
    t.false(grant.may('read'));
  }
});

test('a token is a login, in Bearer and as a password', async (t) => {
  const { access, token } = await makeAccess(t);
  const main = await token({ ref: 'main' });
  for (const header of [bearer(main), basic('token', main), basic('alice', main)]) {
    const grant = await access.authenticate(presenting(header));
    t.deepEqual(summary(grant), { actor: 'job', isLoggedIn: true, mayNameActor: false, may: ['push'] });
  }
  t.false((await access.authenticate(presenting(bearer(await token())))).hasRights, 'logged in, without rights');
});

const unauthorized = (reason: string, user?: string): unknown => ({
  status: 401,
  code: 'UNAUTHORIZED',
  reason,
  ...(user === undefined ? {} : { user }),
});

test('credentials that prove nothing are refused, with a reason and no secret', async (t) => {
  const { access, token } = await makeAccess(t);
  const evil = await token({ iss: 'evil' });
  const cases: readonly (readonly [header: string, expected: unknown])[] = [
    [basic('alice', 'secret'), unauthorized('wrong name or password', 'alice')],
    [basic('nobody', 'secret'), unauthorized('wrong name or password', 'nobody')],
    [basic('', 'secret'), unauthorized('wrong name or password', '')],
    [
      basic('n'.repeat(8_000), 'secret'),
      { status: 400, code: 'REQUEST_INVALID', reason: 'a name of more than 1024 bytes' },
    ],
    [bearer('secret'), unauthorized('a malformed token')],
    [bearer(evil), unauthorized('a token of an unknown issuer')],
    [basic('token', evil), unauthorized('a token of an unknown issuer')],
    [bearer(await token({}, -60)), unauthorized('an expired token')],
    [bearer(await token({ aud: 'x' })), unauthorized('a token with another aud')],
    ['Digest secret', unauthorized('another scheme than Basic and Bearer')],
    ['Basic secret', { status: 400, code: 'REQUEST_INVALID', reason: 'malformed base64 in Basic' }],
    [
      basic('a\0', 'secret'),
      { status: 400, code: 'REQUEST_INVALID', reason: 'a control character in a name or password' },
    ],
    [
      `Bearer ${'s'.repeat(10_000)} secret`,
      { status: 400, code: 'REQUEST_INVALID', reason: 'a malformed Authorization header' },
    ],
  ];
  for (const [header, expected] of cases) {
    const error = await refusal(t, access, presenting(header));
    t.deepEqual(factsOf(error), expected);
    t.notRegex(error.message + error.reason, /secret/);
  }
  const doubled = await refusal(t, access, presenting([alice, alice]));
  t.deepEqual(factsOf(doubled), { status: 400, code: 'REQUEST_INVALID', reason: 'more than one Authorization header' });
});

test('credentials over plain HTTP are refused, but on this machine and by a unix socket', async (t) => {
  const { access, token } = await makeAccess(t);
  for (const header of [alice, bearer(await token())]) {
    const plain = await refusal(t, access, presenting(header, { isEncrypted: false }));
    t.is(plain.status, 403);
    t.regex(plain.reason, /plain HTTP/);
    t.true((await access.authenticate(presenting(header, { isEncrypted: false, isLoopback: true }))).isLoggedIn);
    t.true((await access.authenticate(presenting(header, { kind: 'unix', isEncrypted: false }))).isLoggedIn);
    t.true((await access.authenticate({ authorization: [header], connection: undefined })).isLoggedIn);
  }
});

test('without a users file, or issuers, such credentials are refused', async (t) => {
  const { access: withTokens } = await makeAccess(t, { users: undefined });
  t.is((await refusal(t, withTokens, presenting(alice))).reason, 'wrong name or password');
  const { access: withUsers, token } = await makeAccess(t, { tokens: [], rules: [] });
  t.is((await refusal(t, withUsers, presenting(bearer(await token())))).reason, 'a token, but no issuer is trusted');
});

test('guesses of a password are slowed down, not the user who works', async (t) => {
  const { access, pass } = await makeAccess(t);
  t.true((await access.authenticate(presenting(alice))).isLoggedIn);
  for (let each = 0; each < MAX_LOGIN_FAILURES_PER_USER; each++) {
    t.is((await refusal(t, access, presenting(basic('alice', `guess${each}`)))).status, 401);
  }
  const slowed = await refusal(t, access, presenting(basic('alice', 'guess')));
  t.deepEqual(factsOf(slowed), {
    status: 429,
    code: 'TOOMANYREQUESTS',
    reason: 'too many failed logins',
    user: 'alice',
  });
  t.is(slowed.retryAfterSeconds, LOGIN_FAILURE_WINDOW_MS / 1000);
  t.true((await access.authenticate(presenting(alice))).isLoggedIn, 'right lately');
  t.true((await access.authenticate(presenting(basic('zoë', 'pässwort')))).isLoggedIn);
  pass(LOGIN_FAILURE_WINDOW_MS);
  t.is((await refusal(t, access, presenting(basic('alice', 'guess')))).status, 401);
});

test('guesses from an address are slowed down, not those who come through this machine', async (t) => {
  const { access, token } = await makeAccess(t);
  for (let each = 0; each < MAX_LOGIN_FAILURES_PER_ADDRESS; each++) {
    t.is((await refusal(t, access, presenting(bearer('guess')))).status, 401);
  }
  t.is((await refusal(t, access, presenting(alice))).status, 429);
  t.is((await refusal(t, access, presenting(bearer(await token())))).status, 429);
  t.false((await access.authenticate(presenting())).isLoggedIn, 'who shows nothing guesses nothing');
  t.true((await access.authenticate(presenting(alice, { address: '203.0.113.8' }))).isLoggedIn);
  for (let each = 0; each < MAX_LOGIN_FAILURES_PER_ADDRESS + 1; each++) {
    const local = presenting(bearer('guess'), { address: '127.0.0.1', isLoopback: true });
    t.is((await refusal(t, access, local)).status, 401);
  }
});

test('tokens that an issuer signed are no guesses', async (t) => {
  const { access, token } = await makeAccess(t);
  const expired = await token({}, -60);
  for (let each = 0; each < MAX_LOGIN_FAILURES_PER_ADDRESS + 1; each++) {
    t.is((await refusal(t, access, presenting(bearer(expired)))).status, 401);
  }
});

test('keys that cannot be had are no fault of the client', async (t) => {
  const keys = { url: 'http://127.0.0.1:1/keys' };
  const { access, token } = await makeAccess(t, { tokens: [{ issuer: 'ci', audience: 'imagelog', keys }] });
  const error = await refusal(t, access, presenting(bearer(await token())));
  t.deepEqual(factsOf(error), {
    status: 503,
    code: 'UNAVAILABLE',
    reason: 'a token whose issuer’s keys cannot be had now',
  });
  t.is(error.retryAfterSeconds, 5);
});

test('users come and go with their file', async (t) => {
  const { access, users, pass, notices } = await makeAccess(t);
  t.true((await access.authenticate(presenting(alice))).isLoggedIn);
  await writeFile(users, htpasswdLines.zoë);
  pass(ACCESS_FILE_CHECK_MS);
  t.is((await refusal(t, access, presenting(alice))).status, 401);
  await appendFile(users, '\nbob:plain');
  pass(ACCESS_FILE_CHECK_MS);
  t.is((await refusal(t, access, presenting(alice))).status, 401);
  t.regex(notices.join('\n'), /line 2 of the users file: the hash is not bcrypt/);
});

test('a session token has the rights of its login for some minutes, and cannot be prolonged', async (t) => {
  const { access, pass, token } = await makeAccess(t);
  const given = access.sessionToken(await access.authenticate(presenting(alice)));
  t.is(given?.expiresInSeconds, SESSION_TOKEN_MS / 1000);
  const session = bearer(given?.token ?? '');
  const grant = await access.authenticate(presenting(session));
  t.deepEqual(summary(grant), { actor: 'alice', isLoggedIn: true, mayNameActor: false, may: ['read'] });
  pass(SESSION_TOKEN_MS - 1_000);
  const next = access.sessionToken(await access.authenticate(presenting(session)));
  t.is(next?.expiresInSeconds, 1);
  pass(1_000);
  for (const over of [session, bearer(next?.token ?? '')]) {
    t.is((await refusal(t, access, presenting(over))).reason, 'a session token that is over');
  }
  const short = access.sessionToken(await access.authenticate(presenting(bearer(await token({ ref: 'main' }, 10)))));
  t.is(short?.expiresInSeconds, 10, 'it ends with the token that it was given for');
  const pushing = await access.authenticate(presenting(bearer(short?.token ?? '')));
  t.true(pushing.may('push', app));
});

test('a session token that was changed, or is of another server, is refused', async (t) => {
  const { access } = await makeAccess(t);
  const { access: other } = await makeAccess(t);
  const login = await access.authenticate(presenting(alice));
  const token = access.sessionToken(login)?.token ?? '';
  t.is(other.sessionToken(login), undefined);
  await t.notThrowsAsync(access.authenticate(presenting(bearer(token))));
  t.is((await refusal(t, other, presenting(bearer(token)))).status, 401);
  const [payload, mac] = token.split('.');
  const all = `imagelog_${Buffer.from(JSON.stringify(['root', [0, 1], 9e15])).toString('base64url')}`;
  for (const wrong of [
    `${all}.${mac}`,
    `${payload}.`,
    `${payload}`,
    `${token}.${mac}`,
    `${payload}.${mac}A`,
    'imagelog_',
  ]) {
    t.is((await refusal(t, access, presenting(bearer(wrong)))).status, 401, wrong);
  }
});

test('anonymous gets a session token only where anyone may read', async (t) => {
  const { access } = await makeAccess(t);
  t.is(access.sessionToken(await access.authenticate(presenting())), undefined);
  const { access: open } = await makeAccess(t, { rules: anonymousRules });
  const token = open.sessionToken(await open.authenticate(presenting()))?.token ?? '';
  const grant = await open.authenticate(presenting(bearer(token)));
  t.false(grant.isLoggedIn);
  t.true(grant.may('read', 'docker.io/public/app'));
  t.false(grant.may('read', app));
});

test('the challenge is Basic, or Bearer where tokens or anonymous need it', async (t) => {
  const { access: both } = await makeAccess(t);
  const bearerChallenge = 'Bearer realm="https://h:5/v2/token",service="imagelog"';
  t.is(both.challenge('https://h:5'), bearerChallenge);
  t.is(both.challenge('https://h:5', 'repository:a:pull'), `${bearerChallenge},scope="repository:a:pull"`);
  const { access: users } = await makeAccess(t, { tokens: [], rules: userRules });
  t.is(users.challenge('https://h:5', 'x'), 'Basic realm="imagelog", charset="UTF-8"');
  const { access: open } = await makeAccess(t, {
    tokens: [],
    rules: [...userRules, { who: 'anonymous', may: ['read'] }],
  });
  t.is(open.challenge('https://h:5'), bearerChallenge);
  const { access: proxied } = await makeAccess(t, { url: 'https://images.example' });
  t.is(proxied.challenge('http://127.0.0.1:5'), 'Bearer realm="https://images.example/v2/token",service="imagelog"');
  t.is((await accessFrom({ rules: userRules })).challenge('https://h:5'), undefined);
});

test('without options, this machine may do everything and others nothing', async (t) => {
  const mayRead = async (facts: object): Promise<boolean> =>
    (await localAccess.authenticate(presenting([], facts))).may('read');
  t.true(await mayRead({ isLoopback: true }));
  t.true(await mayRead({ kind: 'unix' }));
  t.false(await mayRead({}));
  t.true((await localAccess.authenticate({ authorization: [], connection: undefined })).may('admin'));
  t.is(localAccess.challenge('http://h'), undefined);
  t.is(localAccess.sessionToken(await localAccess.authenticate(presenting())), undefined);
});
