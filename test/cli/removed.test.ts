import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ReferenceEntry } from '../../src/store/store.js';
import { openStore } from '../../src/store/open/open-store.js';
import { builtArtifact, loadArtifacts } from '../store/artifacts/built-artifacts.js';
import { archive, ids, objectsOf, type Session, startSession } from './session.js';

const HOUR_MS = 3_600_000;
const GONE = 'shop/app:prod is gone: removed 2026-01-31 13:00 UTC by bob, “cleanup” (INC-77)';

/** shop/app:prod is set by event 28 and removed by 29; twice:1 goes with its image in the events from 30 on. */
async function cleanedUp(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t);
  const { done, wait } = session;
  const bob = ['--quiet', '--actor', 'bob', '--reason', 'cleanup'];
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', '--quiet', '--reason', 'release', 'shop/app:2.0', 'shop/app:prod');
  wait(HOUR_MS);
  await done('untag', ...bob, '--request-id', 'INC-77', 'shop/app:prod');
  await done('rm', ...bob, 'twice:1');
  wait(HOUR_MS);
  return session;
}

/** Runs the command that a hint names. */
async function followed(t: ExecutionContext, { run }: Session, stderr: string): Promise<string> {
  const line = /^hint: as it was(?: then)?: `imagelog (.+)`$/m.exec(stderr)?.[1];
  const { code, stdout } = await run(...(line ?? 'no hint').split(' '));
  t.is(code, 0, stderr);
  return stdout;
}

test('every command says of a removed name when it went, by whom, why, and how to see it', async (t) => {
  const session = await cleanedUp(t);
  const { run, folder } = session;
  for (const [again, ...argv] of [
    ['inspect', 'inspect', 'shop/app:prod'],
    ['history', 'history', 'shop/app:prod'],
    ['referrers', 'referrers', 'shop/app:prod'],
    ['resolve', 'resolve', 'shop/app:prod'],
    ['inspect', 'save', 'shop/app:prod', '-o', join(folder, 'a.tar')],
    ['inspect', 'tag', 'shop/app:prod', 'a:1'],
    ['inspect', 'untag', 'shop/app:prod'],
    ['inspect', 'rm', 'shop/app:prod'],
    ['inspect', 'images', '--filter', 'since=shop/app:prod'],
    ['inspect', 'inspect', '--json', 'tiny:1', 'docker.io/shop/app:prod'],
  ] as const) {
    const { code, stdout, stderr } = await run(...argv);
    t.deepEqual([code, stdout], [3, ''], argv.join(' '));
    const expected = new RegExp(
      `^imagelog: ${GONE.replace(/[()]/g, '\\$&')} \\(event 29, (?:IMAGE|REFERENCE)_NOT_FOUND\\)\n` +
        `hint: as it was: \`imagelog at @28 ${again} shop/app:prod\`\n$`,
    );
    t.regex(stderr, expected, argv.join(' '));
    await followed(t, session, stderr);
  }
});

test('rm of several removed names explains each', async (t) => {
  const { run } = await cleanedUp(t);
  const { code, stderr } = await run('rm', 'shop/app:prod', 'never:1', 'twice:1');
  t.is(code, 3);
  t.deepEqual(
    stderr.split('\n').filter((line) => line.startsWith('imagelog: ')),
    [
      `imagelog: ${GONE} (event 29, IMAGE_NOT_FOUND)`,
      'imagelog: cannot find the image "never:1": no reference has this name and no id this prefix (IMAGE_NOT_FOUND)',
      'imagelog: twice:1 is gone: removed 2026-01-31 13:00 UTC by bob, “cleanup” (event 30, IMAGE_NOT_FOUND)',
    ],
  );
});

test('an image that was deleted is told by id, digits and names, and seen before its whole transaction', async (t) => {
  const session = await cleanedUp(t);
  const { run } = session;
  const id = (await session.done('search', '--all', '--quiet', ids.twice)).trim();
  for (const name of [ids.twice, id, id.slice(7), id.slice(7, 11)]) {
    const { code, stderr } = await run('inspect', name);
    t.is(code, 3);
    t.is(
      stderr,
      'imagelog: the image 6351c87e3f65 (twice:1) is gone: deleted 2026-01-31 13:00 UTC by bob, “cleanup” ' +
        `(event 31, IMAGE_NOT_FOUND)\nhint: as it was: \`imagelog at @29 inspect ${name}\`\n`,
    );
    t.true((await followed(t, session, stderr)).includes(id));
  }
});

test('a name that is in use again, and an image that was loaded again, are not gone', async (t) => {
  const { done } = await cleanedUp(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', '--quiet', 'tiny:1', 'shop/app:prod');
  t.is((await done('resolve', 'shop/app:prod')).slice(7, 19), ids.tiny);
  t.is(objectsOf(await done('inspect', '--json', ids.twice)).length, 1);
  t.is(objectsOf(await done('search', '--all', '--json', ids.twice))[0]?.['removed'], null);
});

test('in the past a name was gone already, or is not there yet', async (t) => {
  const session = await cleanedUp(t);
  const { run, done } = session;
  const gone = await run('at', '33', 'inspect', 'shop/app:prod');
  t.is(
    gone.stderr,
    `imagelog: ${GONE} (event 29, IMAGE_NOT_FOUND)\nhint: as it was: \`imagelog at @28 inspect shop/app:prod\`\n`,
  );
  await done('tag', '--quiet', 'tiny:1', 'shop/app:prod');
  t.is((await run('at', '33', 'inspect', 'shop/app:prod')).stderr, gone.stderr, 'set again since');
  for (const argv of [
    ['at', '5', 'resolve', 'shop/app:prod'],
    ['resolve', '--at', '5', 'shop/app:prod'],
  ]) {
    const early = await run(...argv);
    t.is(early.code, 3);
    t.is(
      early.stderr,
      'imagelog: shop/app:prod is not there yet after event 5: first set 2026-01-31 12:00 UTC by tester, “release” ' +
        '(event 28, REFERENCE_NOT_FOUND)\nhint: as it was then: `imagelog at @28 resolve shop/app:prod`\n',
    );
    await followed(t, session, early.stderr);
  }
  const image = await run('at', '3', 'inspect', ids.appTwo);
  t.regex(
    image.stderr,
    /^imagelog: cb4c372bec4c is not there yet after event 3: first added .* by tester \(event \d+, /,
  );
  t.regex(await followed(t, session, image.stderr), /cb4c372bec4c/);
  t.regex((await run('at', '5', 'inspect', 'never:1')).stderr, /no reference has this name/);
  t.regex((await run('at', '0', 'inspect', 'tiny:1')).stderr, /is not there yet after event 0: first set/);
});

test('digits of several images that were deleted lead to search', async (t) => {
  const { done, run } = await cleanedUp(t);
  for (const id of objectsOf(await done('images', '--json')).map((image) => String(image['id']))) {
    await done('rm', '--force', '--quiet', id);
  }
  const { code, stderr } = await run('inspect', 'b');
  t.is(code, 3);
  t.regex(stderr, /\(IMAGE_NOT_FOUND\)\nhint: 2 removed ones begin so: `imagelog search --all b`\n$/);
  t.is((await done('search', '--all', '--quiet', 'b')).split('\n').length, 3);
});

test('what was erased says so, and which event did it', async (t) => {
  const { done, run } = await cleanedUp(t);
  const id = (await done('search', '--all', '--quiet', ids.twice)).trim();
  await done('erase', '--reason', 'leaked', id);
  const { stderr } = await run('inspect', ids.twice);
  t.regex(
    stderr,
    /^imagelog: the image 6351c87e3f65 \(twice:1\) is gone: deleted .*\nhint: its config was erased by event \d+;/,
  );
  t.true(stderr.includes(`imagelog log --image ${id}`));
  const past = await run('at', '29', 'inspect', 'twice:1');
  t.is(past.code, 3);
  t.regex(past.stderr, /\(CONTENT_ERASED\)/);
});

test('artifacts that were removed are told and found too', async (t) => {
  const { store: directory, done, run } = await startSession(t);
  const bill = builtArtifact({ artifactType: 'application/spdx+json', blobs: ['{}', 'parts'] });
  const store = await openStore(directory, { actor: 'tester' });
  const reference: ReferenceEntry['reference'] = 'docker.io/shop/app:sbom';
  await loadArtifacts(store, [bill], { references: [{ reference, target: bill.descriptor }] });
  await store.close();
  await done('rm', '--actor', 'bob', 'shop/app:sbom');
  const { digest } = bill.descriptor;
  const { stderr, code } = await run('inspect', digest);
  t.is(code, 3);
  t.regex(
    stderr,
    new RegExp(`^imagelog: the artifact ${digest.slice(7, 19)} \\(shop/app:sbom\\) is gone: removed .* by bob `),
  );
  t.like(objectsOf(await done('search', '--all', '--json', digest)), [
    { kind: 'artifact', digest, references: [reference], removed: { actor: 'bob', reason: null, erased: null } },
  ]);
});

test('search lists ids, with --all those that were removed, when, by whom and why', async (t) => {
  const { done, run, runIn } = await cleanedUp(t);
  t.is(
    await done('search', '6'),
    'ID            KIND      REFERENCES\n60e49a928b3c  manifest  shop/app:1.0\n612786da9e60  image     tiny-lib:1\n',
  );
  const { stdout } = await runIn({ columns: 80, env: { NO_COLOR: '1' } }, 'search', '--all', '6');
  t.is(
    stdout,
    `ID            KIND      REFERENCES    REMOVED (UTC)     BY   WHY        EVENT
60e49a928b3c  manifest  shop/app:1.0
612786da9e60  image     tiny-lib:1
6351c87e3f65  image     twice:1       2026-01-31 13:00  bob  “cleanup”    #31
`,
  );
  t.deepEqual(objectsOf(await done('search', '--all', '--json', ids.twice))[0]?.['removed'], {
    seq: 31,
    time: '2026-01-31T13:00:00.000Z',
    actor: 'bob',
    reason: 'cleanup',
    requestId: null,
    before: 29,
    erased: null,
  });
  t.like(await run('search', ids.twice), {
    code: 3,
    stderr: `imagelog: no id begins with ${ids.twice} (IMAGE_NOT_FOUND)\nhint: --all also searches what was removed\n`,
  });
  t.is((await run('search', '--all', '123456')).code, 3);
  t.is((await run('search', 'prod')).code, 2);
  t.is(await done('at', '29', 'search', ids.twice), await done('search', '--at', '29', ids.twice));
});

test('refs of a removed name says that it was removed, when, by whom, why, and for what request', async (t) => {
  const { done, runIn } = await cleanedUp(t);
  const { stdout } = await runIn({ columns: 80, env: { NO_COLOR: '1' } }, 'refs', 'shop/app:prod');
  t.regex(stdout, /^shop\/app:prod → nothing, for 1 h\nremoved 2026-01-31 13:00 UTC, by bob: “cleanup” \(INC-77\)\n/);
  t.like(objectsOf(await done('refs', '--json', 'shop/app:prod'))[0], {
    untilSeq: 29,
    removedBy: 'bob',
    removedReason: 'cleanup',
    removedRequestId: 'INC-77',
  });
});
