import test, { type ExecutionContext } from 'ava';
import { MAX_CLOCK_TOLERANCE_S } from '../../../src/limits.js';
import { accessFrom } from '../../../src/server/access/access-from.js';
import { type AccessOptions, checkOptions } from '../../../src/server/access/options.js';
import { storeError } from '../../support/store-error.js';
import { rejection } from '../../support/rejection.js';

const issuer = { issuer: 'https://ci.example', audience: 'imagelog', keys: { url: 'https://ci.example/keys' } };

test('options with everything are taken', (t) => {
  const options: AccessOptions = {
    users: '/etc/imagelog/users',
    tokens: [
      { ...issuer, algorithms: ['RS256'], clockToleranceSeconds: 60, actor: 'ci:{repository}@{ref}' },
      { ...issuer, issuer: 'b', keys: { url: 'http://127.0.0.1:8080/keys' }, audience: ['a', 'b'] },
    ],
    certificates: { user: 'CN' },
    socket: { peer: 'mode' },
    url: 'https://images.example',
    rules: [
      { who: 'anonymous', may: ['read'], repositories: ['public/**'] },
      { who: '*', may: ['read'] },
      { who: 'ci-*', by: ['password', 'token'], may: ['read', 'push'], repositories: ['shop/*'] },
      { who: { issuer: 'b', claims: { repository: 'shop/*' } }, may: ['admin'] },
    ],
  };
  t.notThrows(() => checkOptions(JSON.parse(JSON.stringify(options)) as AccessOptions));
  t.notThrows(() => checkOptions({ rules: [] }));
});

const refused = test.macro({
  title: (title = '') => `access options with ${title} are refused`,
  exec: (t: ExecutionContext, options: unknown, message: RegExp) => {
    const error = storeError(t, 'ACCESS_INVALID', () => checkOptions(options as AccessOptions));
    t.regex(error.message, message);
  },
});

const withIssuer = (facts: object): object => ({ rules: [], tokens: [{ ...issuer, ...facts }] });
const withRule = (facts: object): object => ({ rules: [{ who: 'a', may: ['read'], ...facts }], tokens: [issuer] });

test('no rules', refused, {}, /^rules of the access options: expected a list$/);
test('no object', refused, null, /^access of the access options: expected an object$/);
test('a name nobody knows', refused, { rules: [], user: 'x' }, /unknown name in access user: did you mean users\?/);
test('an empty path', refused, { rules: [], users: '' }, /^users /);
test('a name of certificates', refused, { rules: [], certificates: { user: 'O' } }, /one of CN, email, DNS, URI/);
test('a way to find the peer', refused, { rules: [], socket: { peer: 'guess' } }, /one of mode, kernel/);
test('a url that is not one', refused, { rules: [], url: 'images' }, /^url .*an address/);
test('a url of another scheme', refused, { rules: [], url: 'ftp://images' }, /^url .*an http address/);
test('tokens that are not a list', refused, { rules: [], tokens: issuer }, /^tokens .*a list/);
test('an issuer twice', refused, { rules: [], tokens: [issuer, issuer] }, /^tokens .*one per issuer/);
test('no audience', refused, withIssuer({ audience: undefined }), /^tokens\[0\]\.audience /);
test('an empty list of audiences', refused, withIssuer({ audience: [] }), /at least one audience/);
test('the algorithm none', refused, withIssuer({ algorithms: ['none'] }), /algorithms .*one of RS256/);
test('a symmetric algorithm', refused, withIssuer({ algorithms: ['RS256', 'HS256'] }), /algorithms .*one of RS256/);
test('no algorithm', refused, withIssuer({ algorithms: [] }), /at least one algorithm/);
test('keys over plain HTTP', refused, withIssuer({ keys: { url: 'http://ci.example/keys' } }), /expected https/);
test('keys from nowhere', refused, withIssuer({ keys: {} }), /^tokens\[0\]\.keys\.url /);
test('keys from two places', refused, withIssuer({ keys: { url: issuer.keys.url, file: 'x' } }), /unknown name in/);
test(
  'a large tolerance',
  refused,
  withIssuer({ clockToleranceSeconds: MAX_CLOCK_TOLERANCE_S + 1 }),
  /expected 0 to 300/,
);
test('a tolerance that is a text', refused, withIssuer({ clockToleranceSeconds: 'x' }), /expected 0 to 300/);
test('a template that is not closed', refused, withIssuer({ actor: 'ci:{sub' }), /claims in braces/);
test('a rule for nobody', refused, withRule({ who: '' }), /^rules\[0\]\.who /);
test('an action nobody knows', refused, withRule({ may: ['write'] }), /one of read, push, delete, admin/);
test('a rule without actions', refused, withRule({ may: undefined }), /^rules\[0\]\.may .*a list/);
test('anonymous writers', refused, withRule({ who: 'anonymous', may: ['read', 'push'] }), /one of read$/);
test('a proof nobody knows', refused, withRule({ by: ['magic'] }), /one of password, token, certificate, socket/);
test('a proof for anonymous', refused, withRule({ who: 'anonymous', by: ['token'] }), /a user name in who/);
test('no claims', refused, withRule({ who: { claims: {} } }), /at least one claim/);
test('a claim that is a number', refused, withRule({ who: { claims: { run: 1 } } }), /who\.claims\.run /);
test('claims of an unknown issuer', refused, withRule({ who: { issuer: 'x', claims: { a: 'b' } } }), /one of https/);
test('a repository that is a number', refused, withRule({ repositories: [1] }), /^rules\[0\]\.repositories /);
test('claims without tokens', refused, { rules: [{ who: { claims: { a: 'b' } }, may: [] }] }, /issuer of the claims/);
test(
  'claims of any of two issuers',
  refused,
  { tokens: [issuer, { ...issuer, issuer: 'b' }], rules: [{ who: { claims: { a: 'b' } }, may: [] }] },
  /the issuer of the claims, one of tokens/,
);

for (const [pattern, why] of [
  ['shop/[', /a pattern/],
  ['shop/**/x', /rules\[0\]\.repositories.*two stars stand only as the last part/],
  ['**/x', /rules\[0\]\.repositories.*two stars stand only as the last part/],
] as const) {
  test(`a rule with the repositories ${pattern} is refused`, async (t) => {
    const rules = [{ who: 'a', may: ['read'], repositories: [pattern] }] as const;
    t.regex((await rejection(t, 'ACCESS_INVALID', accessFrom({ rules }))).message, why);
  });
}

test('a rule with a pattern of names that cannot be read is refused', async (t) => {
  await rejection(t, 'ACCESS_INVALID', accessFrom({ rules: [{ who: '[', may: ['read'] }] }));
});
