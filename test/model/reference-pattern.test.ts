import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { MAX_REFERENCE_LENGTH } from '../../src/limits.js';
import { familiarReference } from '../../src/model/reference.js';
import { globMatcher, isPattern, wantedReference } from '../../src/model/reference-pattern.js';
import { storeError } from '../support/store-error.js';

const matches = test.macro({
  title: (_, pattern: string) => `the pattern ${pattern}`,
  exec: (t: ExecutionContext, pattern: string, fitting: readonly string[], others: readonly string[]) => {
    const fits = globMatcher(pattern);
    for (const text of fitting) t.true(fits(text), text);
    for (const text of others) t.false(fits(text), text);
  },
});

test(matches, 'shop/*', ['shop/app', 'shop/'], ['shop', 'shop/app/x', 'xshop/app']);
test(matches, 'a?c', ['abc', 'a😀c'], ['ac', 'a/c', 'abbc']);
test(matches, '[a-c]x', ['ax', 'cx'], ['dx', 'x', '/x']);
test(matches, '[^a-c]x', ['dx'], ['ax', '/x']);
test(matches, 'a.b+(c)', ['a.b+(c)'], ['axb+(c)', 'a.bb(c)']);
test(matches, '\\*', ['*'], ['a']);

for (const pattern of ['[', 'a]', '[]', '[z-a]', '\\']) {
  test(`the pattern ${pattern} is refused`, (t) => {
    t.regex(storeError(t, 'FILTER_INVALID', () => globMatcher(pattern)).message, /^cannot read the pattern /);
  });
}

test(matches, '[a\\-c]x', ['ax', '-x', 'cx'], ['bx']);
test(matches, '[a-]x', ['ax', '-x'], ['bx']);
test(matches, '[\\]]x', [']x'], ['\\x']);
test(matches, '*a*b', ['ab', 'xaxb', 'aabb'], ['a', 'b', 'ba', 'a/b']);
test(matches, '', [''], ['a']);

test('a pattern is at most as long as a reference', (t) => {
  t.notThrows(() => globMatcher('*'.repeat(MAX_REFERENCE_LENGTH)));
  storeError(t, 'FILTER_INVALID', () => globMatcher('a'.repeat(MAX_REFERENCE_LENGTH + 1)));
});

test('a pattern of many stars is matched in a moment', (t) => {
  const fits = globMatcher(`${'*a'.repeat(250)}b`);
  const start = performance.now();
  for (let count = 0; count < 100; count++) t.false(fits('a'.repeat(500)));
  t.true(performance.now() - start < 2_000);
});

test('matching is what a regular expression of the same meaning does', (t) => {
  const piece = fc.constantFrom('a', 'b', '/', '*', '?', '[ab]', '[^a]');
  const property = fc.property(
    fc.array(piece, { maxLength: 6 }),
    fc.array(fc.constantFrom('a', 'b', 'c', '/'), { maxLength: 8 }).map((parts) => parts.join('')),
    (pieces, text) => {
      const source = pieces.map((each) => (each === '*' ? '[^/]*' : each === '?' ? '[^/]' : withoutSlash(each)));
      return globMatcher(pieces.join(''))(text) === new RegExp(`^${source.join('')}$`).test(text);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 5_000 }));
});

function withoutSlash(piece: string): string {
  return piece.startsWith('[') ? `(?!/)${piece}` : piece;
}

const wants = test.macro({
  title: (_, pattern: string) => `events of ${pattern} are wanted`,
  exec: (t: ExecutionContext, pattern: string, fitting: readonly string[], others: readonly string[]) => {
    const { name, matches: isWanted } = wantedReference(pattern);
    t.is(name, undefined);
    for (const reference of fitting) t.true(isWanted(reference), reference);
    for (const reference of others) t.false(isWanted(reference), reference);
  },
});

const DIGEST = `sha256:${'a'.repeat(64)}`;

test(
  wants,
  '*:prod',
  ['docker.io/shop/app:prod', 'docker.io/library/tiny:prod', 'localhost:5000/a/b/c:prod'],
  ['docker.io/shop/app:prod-1', 'docker.io/prod/app:1', `docker.io/shop/app@${DIGEST}`],
);
test(
  wants,
  'shop/*',
  ['docker.io/shop/app:1', 'docker.io/shop/db:prod', `docker.io/shop/app@${DIGEST}`],
  ['docker.io/library/shop:1', 'docker.io/shop/team/app:1', 'localhost:5000/shop/app:1', 'docker.io/myshop/app:1'],
);
test(wants, 'shop/a?p', ['docker.io/shop/app:1', 'docker.io/shop/app:2'], ['docker.io/shop/apps:1']);
test(wants, 'shop/app:[12]', ['docker.io/shop/app:1'], ['docker.io/shop/app:3', 'docker.io/shop/app:12']);
test(wants, 'docker.io/*/*', ['docker.io/library/tiny:1', 'docker.io/shop/app:1'], ['quay.io/shop/app:1']);
test(wants, '*/shop/*', ['docker.io/shop/app:1', 'quay.io/shop/app:1'], ['docker.io/library/shop:1']);
test(wants, 'app*', ['docker.io/shop/app:1', 'docker.io/library/app-2:x'], ['docker.io/app/db:1']);
test(wants, '*@sha256:*', [`docker.io/shop/app@${DIGEST}`], ['docker.io/shop/app:1']);
test(wants, 'localhost:5000/*', ['localhost:5000/app:1'], ['localhost:5001/app:1', 'localhost:5000/a/b:1']);
test(wants, '[l]ocal*/x', ['localhost/x:1'], ['docker.io/local/y:1']);

test('a text that is a reference is no pattern', (t) => {
  t.is(wantedReference('shop/app').name, 'docker.io/shop/app:latest');
  t.is(wantedReference('[::1]:5000/app').name, '[::1]:5000/app:latest');
  t.true(wantedReference('tiny').matches('docker.io/library/tiny:latest'));
  t.false(wantedReference('tiny').matches('docker.io/library/tiny:1'));
  for (const text of ['[::1]:5000/app', 'shop/app', 'a b']) t.false(isPattern(text), text);
  for (const text of ['*', 'shop/app?', '[ab]c', 'a\\b']) t.true(isPattern(text), text);
  storeError(t, 'REFERENCE_INVALID', () => wantedReference('a b'));
  storeError(t, 'FILTER_INVALID', () => wantedReference('shop/['));
});

test('a pattern matches a reference when it fits one of its forms, and only then', (t) => {
  const part = fc.constantFrom('a', 'b', 'ab');
  const reference = fc
    .tuple(
      fc.constantFrom('docker.io/library', 'docker.io/a', 'a.b:1/b', 'a.b:1/b/a'),
      part,
      fc.constantFrom(':a', ':b', `@${DIGEST}`),
    )
    .map((parts) => `${parts[0]}/${parts[1]}${parts[2]}`);
  const pattern = fc
    .array(fc.constantFrom('a', 'b', '*', '?', '/', ':', '@', 'docker.io', '[ab]', '[^a]'), {
      minLength: 1,
      maxLength: 6,
    })
    .map((parts) => parts.join(''))
    .filter(isPattern);
  const property = fc.property(pattern, reference, (given, name) => {
    const { path } = { path: name.replace(/(?::[ab]|@.*)$/, '') };
    const forms = [name, path, familiarReference(name), familiarReference(path)];
    const all = given.includes('/') ? forms : forms.slice(0, 2).map((form) => form.slice(form.lastIndexOf('/') + 1));
    return wantedReference(given).matches(name) === all.some(globMatcher(given));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 5_000 }));
});
