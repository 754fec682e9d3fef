import test from 'ava';
import fc from 'fast-check';
import { MAX_REFERENCE_LENGTH, MAX_REFERENCE_NAME_LENGTH, MAX_TAG_LENGTH } from '../../src/limits.js';
import { canonicalReference, familiarReference, formatReference, parseReference } from '../../src/model/reference.js';
import { storeError } from '../support/store-error.js';

const SHA256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const SHA512 = `sha512:${'0123456789abcdef'.repeat(8)}`;
const HEX64 = 'd7ea83b4'.repeat(8);

const parses = test.macro({
  exec(t, text: string, canonical: string, familiar: string) {
    t.is(canonicalReference(text), canonical);
    t.is(familiarReference(canonical), familiar);
    t.is(canonicalReference(familiar), canonical);
    t.is(canonicalReference(canonical), canonical);
  },
  title: (_, text, canonical) => `${text} means ${canonical}`,
});

test(parses, 'tiny', 'docker.io/library/tiny:latest', 'tiny:latest');
test(parses, 'tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'library/tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'docker.io/tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'docker.io/library/tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'index.docker.io/tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'index.docker.io/library/tiny:1', 'docker.io/library/tiny:1', 'tiny:1');
test(parses, 'shop/app', 'docker.io/shop/app:latest', 'shop/app:latest');
test(parses, 'docker.io/shop/app:2', 'docker.io/shop/app:2', 'shop/app:2');
test(parses, 'docker/docker/x', 'docker.io/docker/docker/x:latest', 'docker/docker/x:latest');
test(parses, 'library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest');
test(parses, `tiny@${SHA256}`, `docker.io/library/tiny@${SHA256}`, `tiny@${SHA256}`);
test(parses, `tiny:1@${SHA256}`, `docker.io/library/tiny@${SHA256}`, `tiny@${SHA256}`);
test(parses, `host.test/a@${SHA512}`, `host.test/a@${SHA512}`, `host.test/a@${SHA512}`);
test(parses, 'localhost/app', 'localhost/app:latest', 'localhost/app:latest');
test(parses, 'localhost:5000/app:x', 'localhost:5000/app:x', 'localhost:5000/app:x');
test(parses, 'localhost', 'docker.io/library/localhost:latest', 'localhost:latest');
test(parses, 'test:5000/repo', 'test:5000/repo:latest', 'test:5000/repo:latest');
test(parses, 'test.example:5000/repo:tag', 'test.example:5000/repo:tag', 'test.example:5000/repo:tag');
test(parses, '127.0.0.1:8000/a', '127.0.0.1:8000/a:latest', '127.0.0.1:8000/a:latest');
test(parses, '[::1]:5000/a:b', '[::1]:5000/a:b', '[::1]:5000/a:b');
test(parses, '[2001:db8::1]/a', '[2001:db8::1]/a:latest', '[2001:db8::1]/a:latest');
test(parses, 'xn--n3h.com/myimage:x', 'xn--n3h.com/myimage:x', 'xn--n3h.com/myimage:x');
test(parses, 'Uppercase/lower', 'Uppercase/lower:latest', 'Uppercase/lower:latest');
test(parses, 'EXAMPLE.com/a', 'EXAMPLE.com/a:latest', 'EXAMPLE.com/a:latest');
test(parses, 'foo_bar/baz', 'docker.io/foo_bar/baz:latest', 'foo_bar/baz:latest');
test(parses, 'foo__bar', 'docker.io/library/foo__bar:latest', 'foo__bar:latest');
test(parses, 'a--b', 'docker.io/library/a--b:latest', 'a--b:latest');
test(parses, 'foo.bar', 'docker.io/library/foo.bar:latest', 'foo.bar:latest');
test(parses, 'foo_bar.com:8080', 'docker.io/library/foo_bar.com:8080', 'foo_bar.com:8080');
test(parses, 'foo.com:8080', 'docker.io/library/foo.com:8080', 'foo.com:8080');
test(parses, 'foo/foo_bar.com:8080', 'docker.io/foo/foo_bar.com:8080', 'foo/foo_bar.com:8080');
test(parses, 'tiny:_under.Score-1', 'docker.io/library/tiny:_under.Score-1', 'tiny:_under.Score-1');
test(parses, `tiny:${'t'.repeat(128)}`, `docker.io/library/tiny:${'t'.repeat(128)}`, `tiny:${'t'.repeat(128)}`);
test(parses, `a/${HEX64}`, `docker.io/a/${HEX64}:latest`, `a/${HEX64}:latest`);
test(parses, HEX64.slice(1), `docker.io/library/${HEX64.slice(1)}:latest`, `${HEX64.slice(1)}:latest`);
test(parses, `${HEX64}:1`, `docker.io/library/${HEX64}:1`, `${HEX64}:1`);

const refuses = test.macro({
  exec(t, text: string, reason: RegExp) {
    const error = storeError(t, 'REFERENCE_INVALID', () => parseReference(text));
    t.regex(error.message, reason);
    t.true(error.message.startsWith(JSON.stringify(text.slice(0, 100))));
  },
  title: (_, text: string) => `${JSON.stringify(text.slice(0, 80))} is not a reference`,
});

test(refuses, '', /empty/);
test(refuses, HEX64, /image id/);
test(refuses, 'Tiny', /lower case/);
test(refuses, 'shop/App:1', /"shop\/App" must be lower case/);
test(refuses, 'localhost:5000/Foo', /lower case/);
test(refuses, 'docker.io/Tiny', /lower case/);
test(refuses, ':justtag', /expected/);
test(refuses, `@${SHA256}`, /expected/);
test(refuses, 'repo@sha256:ffff', /expected/);
test(refuses, `repo@md5:${'f'.repeat(32)}`, /sha256/);
test(refuses, `repo@sha256:${'f'.repeat(34)}`, /sha256/);
test(refuses, `repo@sha256:${'F'.repeat(64)}`, /sha256/);
test(refuses, `repo@${SHA256}:tag`, /expected/);
test(refuses, `repo@${SHA256}0`, /sha256/);
test(refuses, 'repo@', /expected/);
test(refuses, 'repo:', /expected/);
test(refuses, 'repo:-tag', /expected/);
test(refuses, 'repo:.tag', /expected/);
test(refuses, 'repo:tag:tag', /expected/);
test(refuses, `repo:${'t'.repeat(129)}`, /expected/);
test(refuses, 'aa/asdf$$^/aa', /expected/);
test(refuses, 'a//b', /expected/);
test(refuses, '/a', /expected/);
test(refuses, 'a/', /expected/);
test(refuses, '-a', /expected/);
test(refuses, 'a-', /expected/);
test(refuses, '-foo.test/a', /expected/);
test(refuses, 'foo-.test/a', /expected/);
test(refuses, 'foo..test/a', /expected/);
test(refuses, 'a___b', /expected/);
test(refuses, 'a..b', /expected/);
test(refuses, 'a._b', /expected/);
test(refuses, '_a', /expected/);
test(refuses, 'ü', /expected/);
test(refuses, ' a', /expected/);
test(refuses, 'a\n', /expected/);
test(refuses, 'https://host.test/a', /expected/);
test(refuses, 'host.test:/a', /expected/);
test(refuses, 'host.test:port/a', /expected/);
test(refuses, '[fe80::1%eth0]/a', /expected/);
test(refuses, '[::1/a', /expected/);
test(refuses, '::1/a', /expected/);
test(refuses, `${'a/'.repeat(128)}a:tag`, /at most 255/);
test(refuses, 'a'.repeat(600), /at most/);

test('a tag and a whole reference may be as long as their limits, and not one longer', (t) => {
  const tag = 't'.repeat(MAX_TAG_LENGTH);
  t.is(parseReference(`tiny:${tag}`).tag, tag);
  t.throws(() => parseReference(`tiny:${tag}t`), { message: /expected \[host/ });
  const name = `host.test/${'a'.repeat(MAX_REFERENCE_NAME_LENGTH - 'host.test/'.length)}`;
  const longest = `${name}:${tag}@sha512:${'0'.repeat(128)}`;
  t.is(longest.length, MAX_REFERENCE_LENGTH);
  t.is(formatReference(parseReference(longest)), longest);
  t.throws(() => parseReference(`${longest}0`), { message: new RegExp(`at most ${MAX_REFERENCE_LENGTH} characters`) });
});

test('a name may have 255 characters with its domain', (t) => {
  t.is(MAX_REFERENCE_NAME_LENGTH, 255);
  const name = `host.test/${'a'.repeat(MAX_REFERENCE_NAME_LENGTH - 'host.test/'.length)}`;
  t.is(canonicalReference(name), `${name}:latest`);
  storeError(t, 'REFERENCE_INVALID', () => canonicalReference(`${name}a`));
});

test('a reference is parsed into its parts', (t) => {
  t.deepEqual(parseReference('tiny'), { domain: 'docker.io', path: 'library/tiny' });
  t.deepEqual(parseReference(`host.test:1/a/b:c@${SHA256}`), {
    domain: 'host.test:1',
    path: 'a/b',
    tag: 'c',
    digest: SHA256,
  });
});

test('a name whose short form would mean another one keeps its domain', (t) => {
  // It can only be given in full: `foo.bar/baz` alone is on the host foo.bar.
  t.is(familiarReference('docker.io/foo.bar/baz:1'), 'docker.io/foo.bar/baz:1');
  t.is(familiarReference('docker.io/localhost/baz:1'), 'docker.io/localhost/baz:1');
  t.is(familiarReference('docker.io/library/library/a:1'), 'library/library/a:1');
  t.is(familiarReference(`docker.io/library/${HEX64}`), `library/${HEX64}`);
});

const part = fc.stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
const domain = fc.constantFrom('docker.io', 'localhost', 'a.test', 'B.test:80', '[::1]:5000', '127.0.0.1');
const reference = fc.record({
  domain,
  path: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
  tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
  digest: fc.option(fc.constantFrom(SHA256, SHA512), { nil: undefined }),
});

test('what is formatted parses to the same, and so does its short form', (t) => {
  fc.assert(
    fc.property(reference, (made) => {
      const isOfficial = made.domain === 'docker.io' && !made.path.includes('/');
      const given = isOfficial ? { ...made, path: `library/${made.path}` } : made;
      const text = formatReference(given);
      const parsed = parseReference(text);
      t.deepEqual({ tag: undefined, digest: undefined, ...parsed }, given);
      t.is(formatReference(parsed), text);
      t.deepEqual(parseReference(familiarReference(text)), parsed);
      return true;
    }),
    { numRuns: 500 },
  );
});

test('any text gives a reference that formats to a canonical one, or REFERENCE_INVALID', (t) => {
  const piece = fc.constantFrom('a', 'B', '0', '/', ':', '@', '.', '-', '_', 'localhost', '[::1]', SHA256, 'docker.io');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join('');
      let canonical: string;
      try {
        canonical = canonicalReference(text);
      } catch {
        storeError(t, 'REFERENCE_INVALID', () => canonicalReference(text));
        return true;
      }
      t.is(canonicalReference(canonical), canonical, text);
      t.is(canonicalReference(familiarReference(canonical)), canonical, text);
      return true;
    }),
    { numRuns: 3_000 },
  );
});

test('a long hostile name is refused at once', (t) => {
  for (const text of ['a-'.repeat(220), `${'a-'.repeat(200)}/b`, `${'A'.repeat(300)}.!/b`, 'a'.repeat(10_000_000)]) {
    storeError(t, 'REFERENCE_INVALID', () => parseReference(text));
  }
});
