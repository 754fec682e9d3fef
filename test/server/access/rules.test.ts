import test, { type ExecutionContext } from 'ava';
import type { Action } from '../../../src/server/access/access.js';
import type { Rule } from '../../../src/server/access/options.js';
import { type Identity, Rules } from '../../../src/server/access/rules.js';

const actions: readonly Action[] = ['read', 'push', 'delete', 'admin'];
const user = (name: string): Identity => ({ names: [name], by: 'password' });
const token = (claims: Readonly<Record<string, unknown>>, issuer = 'ci'): Identity => ({
  names: ['alice'],
  by: 'token',
  issuer,
  claims,
});

/** What a rule lets `identity` do, as `action repository` (`*`: the whole store). */
function allowed(rules: readonly Rule[], identity: Identity | undefined, repositories: readonly string[]): string[] {
  const compiled = new Rules(rules);
  const grant = compiled.grant(identity?.names[0], compiled.of(identity));
  const asked = [undefined, ...repositories];
  return asked.flatMap((repository) =>
    actions.filter((action) => grant.may(action, repository)).map((action) => `${action} ${repository ?? '*'}`),
  );
}

const app = 'docker.io/shop/app';
const tiny = 'docker.io/library/tiny';

const lets = test.macro({
  title: (title = '') => title,
  exec: (t: ExecutionContext, rule: Rule, identity: Identity | undefined, expected: readonly string[]) => {
    t.deepEqual(allowed([rule], identity, [app, tiny]), expected);
  },
});

const everywhere = (...may: readonly Action[]): string[] =>
  ['*', app, tiny].flatMap((repository) => may.map((action) => `${action} ${repository}`));

test(
  'a right without repositories is one in the whole store',
  lets,
  { who: 'al*', may: ['read'] },
  user('alice'),
  everywhere('read'),
);
test('a rule is for those who fit its pattern', lets, { who: 'al*', may: ['read'] }, user('bob'), []);
test('a star stops at a slash', lets, { who: 'ci*', may: ['read'] }, user('ci/x'), []);
test('a rule for users is not for those who did not log in', lets, { who: '*', may: ['read'] }, undefined, []);
test('anonymous may read', lets, { who: 'anonymous', may: ['read'] }, undefined, everywhere('read'));
test('what anonymous may, users may', lets, { who: 'anonymous', may: ['read'] }, user('bob'), everywhere('read'));
test('a user named anonymous is a user', lets, { who: '*', may: ['push'] }, user('anonymous'), everywhere('push'));
test('push does not include read', lets, { who: 'bob', may: ['push'] }, user('bob'), everywhere('push'));
test('admin includes all', lets, { who: 'bob', may: ['admin'] }, user('bob'), everywhere(...actions));
test(
  'a right in repositories is not one in the store',
  lets,
  { who: 'bob', may: ['admin'], repositories: ['shop/*'] },
  user('bob'),
  actions.map((action) => `${action} ${app}`),
);
test('a name in decomposed form fits', lets, { who: 'zoe\u0308', may: ['read'] }, user('zo\u00eb'), everywhere('read'));
test(
  'an empty list of repositories is nothing',
  lets,
  { who: 'bob', may: ['read'], repositories: [] },
  user('bob'),
  [],
);
test('an empty list of actions is nothing', lets, { who: 'bob', may: [] }, user('bob'), []);
test('a rule for names is not for tokens', lets, { who: 'alice', may: ['read'] }, token({}), []);
test('a rule for all is not for tokens', lets, { who: '*', may: ['read'] }, token({}), []);
test(
  'a rule may be for names of tokens',
  lets,
  { who: 'alice', by: ['token'], may: ['read'] },
  token({}),
  everywhere('read'),
);
test('a rule for tokens is not for passwords', lets, { who: 'alice', by: ['token'], may: ['read'] }, user('alice'), []);
test(
  'a group of a socket is a name too',
  lets,
  { who: 'group:ci', may: ['read'] },
  { names: ['bob', 'group:ci'], by: 'socket' },
  everywhere('read'),
);

const claims: Rule = { who: { issuer: 'ci', claims: { repository: 'shop/*', ref: 'refs/heads/main' } }, may: ['push'] };
test(
  'claims that all fit',
  lets,
  claims,
  token({ repository: 'shop/app', ref: 'refs/heads/main' }),
  everywhere('push'),
);
test('a claim that does not fit', lets, claims, token({ repository: 'shop/app', ref: 'refs/heads/x' }), []);
test('a claim that is absent', lets, claims, token({ repository: 'shop/app' }), []);
test('claims of another issuer', lets, claims, token({ repository: 'shop/app', ref: 'refs/heads/main' }, 'other'), []);
test('claims do not fit passwords', lets, claims, user('alice'), []);
test('a claim that is an object', lets, claims, token({ repository: { a: 'shop/app' }, ref: 'refs/heads/main' }), []);
test('an inherited name is not a claim', lets, { who: { claims: { constructor: '*' } }, may: ['push'] }, token({}), []);
test(
  'one of the values of a claim',
  lets,
  { who: { claims: { groups: 'dev' } }, may: ['push'] },
  token({ groups: ['ops', 'dev'] }),
  everywhere('push'),
);
test(
  'a claim that is true',
  lets,
  { who: { claims: { protected: 'true' } }, may: ['push'] },
  token({ protected: true }),
  everywhere('push'),
);

const matches = test.macro({
  title: (_, pattern: string) => `repositories: ${pattern}`,
  exec: (t: ExecutionContext, pattern: string, fitting: readonly string[], others: readonly string[]) => {
    const rules: Rule[] = [{ who: 'bob', may: ['read'], repositories: [pattern] }];
    t.deepEqual(
      allowed(rules, user('bob'), [...fitting, ...others]),
      fitting.map((name) => `read ${name}`),
    );
  },
});

const deep = 'docker.io/shop/team/app';
const quay = 'quay.io/shop/app';
test(matches, 'shop/*', [app], [deep, quay, tiny, 'docker.io/shopping/app', 'docker.io/x/shop/app']);
test(matches, 'docker.io/shop/*', [app], [deep, quay]);
test(matches, 'shop/**', [app, deep], [quay, 'docker.io/shop2/app', 'docker.io/library/shop']);
test(matches, 'quay.io/**', [quay], [app, 'docker.io/library/quay.io']);
test(matches, '**', [app, deep, quay, tiny], []);
test(matches, 'tiny', [tiny], [app, 'docker.io/shop/tiny']);
test(matches, '*', [tiny], [app, quay]);
test(matches, 'shop/app', [app], ['docker.io/shop/app2', deep]);
test(matches, '*/app', [app], [quay, 'docker.io/library/app']);
test(matches, 'shop/[ab]*', [app], ['docker.io/shop/capp']);

test('rules add up, and none takes away', (t) => {
  const rules: Rule[] = [
    { who: '*', may: ['read'], repositories: ['**'] },
    { who: 'bob', may: ['push'], repositories: ['shop/*'] },
    { who: 'b*', may: ['delete'], repositories: ['tiny'] },
  ];
  t.deepEqual(allowed(rules, user('bob'), [app, tiny]), [
    `read ${app}`,
    `push ${app}`,
    `read ${tiny}`,
    `delete ${tiny}`,
  ]);
  t.deepEqual(allowed(rules, user('eve'), [app]), [`read ${app}`]);
  t.deepEqual(allowed([], user('bob'), [app]), []);
  t.false(new Rules([]).grant('bob', []).hasRights);
  t.true(new Rules(rules).grant('bob', [0]).hasRights);
});

test('what is not a repository fits no familiar name', (t) => {
  const rules: Rule[] = [{ who: 'bob', may: ['read'], repositories: ['shop/**'] }];
  t.deepEqual(allowed(rules, user('bob'), ['../shop/app', 'docker.io/shop/..', 'SHOP/APP', '', '/']), []);
});
