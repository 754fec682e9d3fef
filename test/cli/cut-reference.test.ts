import test from 'ava';
import { isCutReference, wholeReference } from '../../src/cli/cut-reference.js';
import { archive, startSession } from './session.js';

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

test('a cut digest that fits several references, or none, says how many', (t) => {
  const several = t.throws(() => wholeReference('shop/app@abababa', source), { code: 'ID_AMBIGUOUS' });
  t.regex(several.message, /the digest abababa is cut, and 2 references of shop\/app begin so/);
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
