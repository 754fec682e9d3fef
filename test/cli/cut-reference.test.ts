import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { StoreError } from '../../src/errors.js';
import { isCutReference, mayBeIdAfter, wholeReference } from '../../src/cli/cut-reference.js';
import { archive, type Session, startSession } from './session.js';

const APP = 'docker.io/shop/app';
const digests = [`sha256:${'ab'.repeat(32)}`, `sha256:${'ab'.repeat(31)}cd`];
const references = [`${APP}:1`, ...digests.map((digest) => `${APP}@${digest}`), `docker.io/other@${digests[0]}`];
const source = { referenceEntries: () => references.map((reference) => ({ reference })) };

test('a cut digest names the reference of its repository that begins so', (t) => {
  const cut = `shop/app@${'ab'.repeat(31)}c`;
  t.true(isCutReference(cut));
  t.is(wholeReference(cut, source), `${APP}@${digests[1]}`);
  t.is(wholeReference(cut.replace('@', ':1@sha256:'), source), `${APP}@${digests[1]}`);
});

test('what is no repository with 7 to 63 digits is not cut', (t) => {
  for (const name of ['shop/app:1', 'abababab', 'shop/app@ababab', `shop/app@${'ab'.repeat(32)}`, 'a@b@abababab']) {
    t.false(isCutReference(name), name);
    t.is(wholeReference(name, source), undefined, name);
  }
});

test('a name is taken for an id only where there is no such reference: other failures are reported', (t) => {
  for (const code of ['REFERENCE_NOT_FOUND', 'REFERENCE_INVALID'] as const) {
    t.true(mayBeIdAfter(new StoreError(code, ''), 'abababab'), code);
    t.false(mayBeIdAfter(new StoreError(code, ''), 'shop/app'), code);
  }
  for (const error of [new StoreError('LOG_CORRUPT', ''), new Error('')]) t.false(mayBeIdAfter(error, 'abababab'));
});

test('a cut digest that fits several references, or none, says how many', (t) => {
  const several = t.throws(() => wholeReference('shop/app@abababa', source), { code: 'ID_AMBIGUOUS' });
  t.regex(several.message, /the digest abababa is cut, and 2 references of shop\/app begin so/);
  t.deepEqual(several instanceof StoreError && several.data['candidates'], references.slice(1, 3));
  const none = t.throws(() => wholeReference('shop/app@1234567', source), { code: 'IMAGE_NOT_FOUND' });
  t.regex(none.message, /is cut, and 0 references of shop\/app begin so/);
  t.throws(() => wholeReference('Shop/App@1234567', source), { code: 'REFERENCE_INVALID' });
});

test('commands take the names that tables print', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  const id = (await done('resolve', 'tiny:1')).trim();
  await done('tag', 'tiny:1', `shop/app@${id}`);
  const cut = `shop/app@${id.slice(7, 19)}`;
  t.regex((await run('tag', cut, 'shop/app:1', '--reason', 'back')).stdout, /^shop\/app:1 → /);
  t.regex(await done('log', '--oneline', '--image', cut), /shop\/app:1/);
  t.is((await run('rm', cut)).stdout, `untagged shop/app@${id}\n`);
  const gone = await run('log', '--image', cut);
  t.is(gone.code, 3);
  t.regex(gone.stderr, /is cut, and 0 references/);
});

/** A store with an image of one name, and one of four. */
async function named(t: ExecutionContext): Promise<Session & { readonly one: string; readonly two: string }> {
  const session = await startSession(t);
  const { done } = session;
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'), archive('docker25-all.tar'));
  await done('tag', 'shop/app:2.0', 'shop/app:prod');
  const [one = '', two = ''] = await Promise.all(['tiny:1', 'shop/app:2.0'].map((name) => done('resolve', name)));
  await done('tag', 'tiny:1', `shop/tiny@${one.trim()}`);
  await done('untag', 'tiny:1');
  return { ...session, one: one.trim(), two: two.trim() };
}

test('every command about a name takes an id, its first digits, and a reference whose digest is cut', async (t) => {
  const { done, run, folder, one } = await named(t);
  const whole = `shop/tiny@${one}`;
  for (const name of [one, one.slice(0, 19), one.slice(7, 19), `shop/tiny@${one.slice(0, 19)}`]) {
    t.is(await done('resolve', name), `${one}\n`, name);
    t.is(await done('resolve', '--at', 'now', name), `${one}\n`, name);
    t.regex(await done('refs', '--format', 'csv', name), new RegExp(`\ndocker\\.io/${whole},${one},[^\n]*\n$`), name);
    const file = join(folder, 'saved.tar');
    t.is((await run('save', name, '-o', file)).code, 0, name);
    t.regex(await done('load', file), new RegExp(one.slice(7, 19)), name);
    const pushed = await run('push', name, 'localhost:1/a:1');
    t.regex(pushed.stderr, /\(REGISTRY_UNAVAILABLE\)/, name);
    t.is(await done('untag', name), `untagged ${whole}, was ${one.slice(7, 19)}\n`, name);
    await done('tag', one, whole);
  }
});

test('one that means several things lists them, and changes nothing', async (t) => {
  const { done, run, two } = await named(t);
  for (const name of [two, two.slice(0, 19), two.slice(7, 19)]) {
    const { code, stderr } = await run('untag', name);
    t.is(code, 1);
    t.regex(
      stderr,
      /4 references point at it \(ID_AMBIGUOUS\)\nhint: name one of them: shop\/app:2\.0, shop\/app:latest, shop\/app:prod, registry\.\S+\n$/,
    );
    t.regex(
      await done('refs', name),
      /shop\/app:2\.0[\s\S]*shop\/app:prod[\s\S]*registry\./,
      'which shows the past of each',
    );
  }
  t.regex(
    (await run('resolve', 'sha256:b')).stderr,
    /\(ID_AMBIGUOUS\)\nhint: give more digits of the id: \w{12}, \w{12}\n$/,
  );
  t.regex(
    (await run('save', 'sha256:b', '-o', 'x.tar')).stderr,
    /\(ID_AMBIGUOUS\)\nhint: give more digits of the id: /,
  );
  t.is(await done('resolve', 'shop/app:prod'), `${two}\n`);
});

test('a name goes before an id that begins so, and what begins nothing is not found', async (t) => {
  const { done, run, one, two } = await named(t);
  const digits = one.slice(7, 14);
  await done('tag', 'shop/app:2.0', digits);
  t.is(await done('resolve', digits), `${two}\n`);
  t.is(await done('untag', digits), `untagged ${digits}:latest, was ${two.slice(7, 19)}\n`);
  for (const command of ['resolve', 'refs', 'untag', 'save']) {
    for (const name of ['0000000', 'sha256:00', `sha256:${'0'.repeat(64)}`, 'shop/app@0000000']) {
      const more = command === 'save' ? ['-o', 'x.tar'] : [];
      t.is((await run(command, name, ...more)).code, 3, `${command} ${name}`);
    }
    t.is(
      (await run(command, one.slice(7, 10), ...(command === 'save' ? ['-o', '/dev/null'] : []))).code,
      command === 'save' ? 0 : 3,
    );
  }
  const platform = await run('resolve', '--platform', 'linux/amd64', one.slice(0, 19));
  t.is(platform.code, 2);
  t.regex(platform.stderr, /is one image: leave out --platform/);
  await done('untag', `shop/tiny@${one.slice(7, 19)}`);
  t.regex(await done('refs', `shop/tiny@${one.slice(7, 19)}`), /shop\/tiny@/, 'a removed one has a past');
  t.is((await run('refs', one)).code, 3);
});
