import test from 'ava';
import { archive, ids, objectsOf, startSession } from './session.js';

const HOUR_MS = 3_600_000;

test('tag, untag and resolve say what a reference is and was', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  t.is(await done('tag', 'shop/app:1.0', 'shop/app:prod'), 'shop/app:prod → bb0c8ffbd8b1\n');
  t.is(await done('tag', ids.appTwo, 'shop/app:prod'), 'shop/app:prod → cb4c372bec4c, was bb0c8ffbd8b1\n');
  t.is(await done('tag', ids.appTwo, 'shop/app:prod'), 'shop/app:prod → cb4c372bec4c\n');
  t.is((await done('resolve', 'shop/app:prod')).slice(0, 19), `sha256:${ids.appTwo}`);
  const refused = await run('tag', '--no-overwrite', 'tiny:1', 'shop/app:prod');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /\(REFERENCE_EXISTS\)\nhint: /);
  t.like(objectsOf(await done('tag', '--json', 'tiny:1', 'shop/app:prod'))[0], {
    reference: 'docker.io/shop/app:prod',
  });
  t.is(await done('untag', 'shop/app:prod'), 'untagged shop/app:prod, was bd10de19d2be\n');
  t.like(await run('untag', 'shop/app:prod'), {
    code: 3,
    stderr:
      'imagelog: shop/app:prod is gone: removed 2026-01-31 12:00 UTC by tester (event 31, REFERENCE_NOT_FOUND)\n' +
      'hint: as it was: `imagelog at @30 inspect shop/app:prod`\n',
  });
  t.like(await run('untag', 'shop/app:never'), {
    code: 3,
    stderr:
      'imagelog: cannot untag docker.io/shop/app:never: no such reference (REFERENCE_NOT_FOUND)\n' +
      'hint: `imagelog images` lists the images, `imagelog refs shop/app:never` what a name pointed at before\n',
  });
});

test('resolve gives the image of one platform', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('oci-multi-platform.tar'));
  t.is((await done('resolve', '--platform', 'linux/arm64', 'tiny:multi')).slice(7, 19), ids.tinyArm);
  t.is((await done('resolve', '--platform', 'linux/amd64', 'tiny:multi')).slice(7, 19), ids.tiny);
  t.is((await run('resolve', '--platform', 'windows/amd64', 'tiny:multi')).code, 3);
});

test('a tag of a name has all its platforms, one of an id has that image alone, and the log tells which went', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('oci-multi-platform.tar'));
  await done('tag', 'tiny:multi', 'copy:1');
  t.is((await done('resolve', '--platform', 'linux/arm64', 'copy:1')).slice(7, 19), ids.tinyArm);
  await done('tag', ids.tiny, 'copy:1');
  t.is((await run('resolve', '--platform', 'linux/arm64', 'copy:1')).code, 3);
  await done('untag', 'tiny:multi');
  const [moved, removed] = objectsOf(await done('log', '--json')).slice(-2) as Record<string, unknown[]>[];
  t.is(moved?.previousPlatforms?.length, 2);
  t.is(removed?.platforms?.length, 2);
});

test('refs --json has the periods with times in UTC', async (t) => {
  const { done, run, wait } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  wait(HOUR_MS);
  await done('untag', '--reason', 'old', 'tiny:1');
  const [interval, ...rest] = objectsOf(await done('refs', '--json', 'tiny:1'));
  t.deepEqual(rest, []);
  t.like(interval, {
    reference: 'docker.io/library/tiny:1',
    previous: null,
    platforms: null,
    from: '2026-01-31T12:00:00.000Z',
    until: '2026-01-31T13:00:00.000Z',
    actor: 'tester',
    reason: null,
    removedBy: 'tester',
    removedReason: 'old',
  });
  t.is((await run('refs', 'never:1')).code, 3);
});

test('rm by reference takes the image with its last reference', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  t.is(await done('rm', 'shop/app:latest'), 'untagged shop/app:latest\n');
  t.is(await done('rm', 'tiny:1'), 'untagged tiny:1\n', 'an image with children stays');
  const removed = await done('rm', 'shop/app:1.0');
  t.regex(removed, /^untagged shop\/app:1\.0\ndeleted sha256:bb0c8ffbd8b1\w+, and 1 layer that nothing else used\n$/);
  const [untagged, deleted] = objectsOf(await done('log', '--json', '--reverse', '--limit', '3')).reverse();
  t.deepEqual(untagged?.['transaction'], deleted?.['transaction'], 'in one transaction');
});

test('rm by id refuses an image with children or several references, unless forced', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  const parent = await run('rm', ids.tiny);
  t.is(parent.code, 1);
  t.regex(
    parent.stderr,
    /: 1 other image was made from it \(IMAGE_IN_USE\)\nhint: remove what uses it first, or add --force\n$/,
  );
  const named = await run('rm', ids.appTwo);
  t.is(named.code, 1);
  t.regex(named.stderr, /: it has 3 references \(IMAGE_IN_USE\)/);
  t.regex(await done('rm', '--force', ids.tiny), /deleted sha256:bd10de19d2be/);
  t.is(objectsOf(await done('rm', '--force', '--json', ids.appTwo)).length, 4);
  t.is(objectsOf(await done('images', '--json')).length, 3);
});

test('rm removes what it can and fails with the first error', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  const { code, stdout, stderr } = await run('rm', 'nope', 'twice:1', ids.tiny);
  t.is(code, 3);
  t.regex(stdout, /^untagged twice:1\ndeleted sha256:6351c87e3f65/);
  t.regex(stderr, /IMAGE_NOT_FOUND.*IMAGE_IN_USE/s);
});

test('--no-trunc shows whole ids and whole reasons in refs, search, images and log alike', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  const reason = 'a reason that is far too long for a terminal of so few columns';
  await session.done('--reason', reason, 'tag', 'a:1', 'b:1');
  const id = (await session.done('resolve', 'b:1')).trim();
  for (const argv of [
    ['refs', 'b:1'],
    ['refs', '*:1'],
    ['search', id.slice(7, 12)],
    ['images'],
    ['log', '--oneline'],
  ]) {
    const { stdout } = await session.runIn({ columns: 60 }, ...argv, '--no-trunc', '--no-pager', '--no-color');
    t.true(stdout.includes(id), argv.join(' '));
    t.false(stdout.includes('…'), stdout);
    if (argv[0] === 'refs') t.true(stdout.includes(`“${reason}”`), stdout);
  }
});

test('the hint for a name that never was does not name the command that failed', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  const { code, stderr } = await session.run('refs', 'nope:1');
  t.is(code, 3);
  t.regex(stderr, /hint: `imagelog images` lists the names there are, `imagelog refs "\*"` those that there ever were/);
  t.regex(await session.done('refs', '*'), /a:1/);
});
