import test from 'ava';
import { Interruption } from '../../src/cli/exit-codes.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, ids, objectsOf, type Session, SESSION_START, startSession } from './session.js';

const DAY_MS = 86_400_000;

const TABLE = `SEQ  TIME (UTC)           BY              WHAT
  3  2026-01-31 12:00:00  tester          load 1 image, 1 layer, 1 tag: tiny:1 → bd10de19d2be
  4  2026-02-01 12:00:00  ci@build-7      tag a:1 → bd10de19d2be  “release”  (T-1)
  5  2026-02-02 12:00:00  tester          untag a:1 (was bd10de19d2be)
  6  2026-02-02 12:00:00  tester          tag b:1 → bd10de19d2be
`;

const EVENTS = `SEQ   TIME (UTC)           ACTOR           EVENT             WHAT
  1 ┌ 2026-01-31 12:00:00  tester          LayerAdded        c6800a764db2 62 B
  2 │ 2026-01-31 12:00:00  tester          ImageCreated      bd10de19d2be linux/amd64
  3 └ 2026-01-31 12:00:00  tester          ReferenceSet      tiny:1 → bd10de19d2be
  4   2026-02-01 12:00:00  ci@build-7      ReferenceSet      a:1 → bd10de19d2be  “release”  (T-1)
  5   2026-02-02 12:00:00  tester          ReferenceRemoved  a:1 (was bd10de19d2be)
  6   2026-02-02 12:00:00  tester          ReferenceSet      b:1 → bd10de19d2be
`;

/** Five commands on three days. */
async function threeDays({ done, wait }: Session): Promise<void> {
  await done('load', archive('skopeo-tiny-1.tar'));
  wait(DAY_MS);
  await done('tag', '--actor', 'ci@build-7', '--reason', 'release', '--request-id', 'T-1', 'tiny:1', 'a:1');
  wait(DAY_MS);
  await done('untag', 'a:1');
  await done('tag', 'tiny:1', 'b:1');
}

test('log has a line for each transaction, and with --events for each event, in brackets', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  t.is(await session.done('log'), TABLE);
  t.is(await session.done('log', '--events'), EVENTS);
});

test('a filter chooses whole transactions, and --limit counts what is shown', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { done } = session;
  const seqs = async (...argv: string[]): Promise<number[]> =>
    (await done('log', '--quiet', ...argv))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Number.parseInt(line, 10));
  t.deepEqual(await seqs(), [3, 4, 5, 6]);
  t.deepEqual(await seqs('--reverse'), [6, 5, 4, 3]);
  t.deepEqual(await seqs('--type', 'LayerAdded'), [3]);
  t.deepEqual(await seqs('--from', '2', '--to', '2'), [3]);
  t.deepEqual(await seqs('--to', '4', '--reverse', '--limit', '1'), [4]);
  t.deepEqual(await seqs('--reference', 'a:1'), [4, 5]);
  t.deepEqual(await seqs('--limit', '2'), [3, 4]);
  t.deepEqual(await seqs('--events', '--limit', '2'), [1, 2]);
  t.deepEqual(await seqs('--oneline', '--since', '2026-02-02'), [5, 6]);
  t.deepEqual(await seqs('--follow', '--limit', '3'), [3, 4, 5]);
  t.deepEqual(await seqs('--follow', '--events', '--limit', '5'), [1, 2, 3, 4, 5]);
  // The past ends at its moment, also within a transaction.
  t.deepEqual(await seqs('--at', '2'), [2]);
  t.regex(await done('log', '--at', '2'), / load 1 image bd10de19d2be linux\/amd64, 1 layer\n$/);
  for (const argv of [['--events'], ['--json'], ['--format', 'csv']]) {
    t.is((await session.run('log', '--oneline', ...argv)).code, 2, argv.join(' '));
  }
});

test('log of a deleted image shows the names it had, also where only its deletion is asked for', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('rm', '--force', '--quiet', '--actor', 'eve', ids.appTwo);
  const names = 'shop/app:2.0, shop/app:latest, registry.example.com:5000/shop/app:latest';
  t.regex(
    await done('log', '--events', '--type', 'ImageDeleted'),
    new RegExp(`eve +ImageDeleted +cb4c372bec4c \\(names: ${names}\\)\n$`),
  );
  t.regex(
    await done('log', '--type', 'ImageDeleted'),
    new RegExp(` eve +rm 1 image cb4c372bec4c \\(names: ${names}\\), 1 layer\n$`),
  );
  t.regex(
    await done('log', '--events', '--follow', '--limit', '1', '--type', 'ImageDeleted'),
    /\(names: shop\/app:2\.0, .*\)\n$/,
  );
});

test('in the newest first, the bracket opens at the last event of a transaction', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const marks = (await done('log', '--events', '--reverse', '--quiet')).match(/[┌│└]/g);
  t.deepEqual(marks, ['┌', '│', '└']);
});

test('log --no-trunc has whole digests', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const id = (await session.done('resolve', 'tiny:1')).trim();
  for (const form of ['--quiet', '--oneline', '--events']) {
    t.true((await session.done('log', '--no-trunc', form)).includes(`untag a:1 (was ${id})`) || form === '--events');
    t.true((await session.done('log', '--no-trunc', form)).includes(`b:1 → ${id}`), form);
  }
});

test('log chooses by subject, actor, type, time and position', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { done } = session;
  const chain = String(objectsOf(await done('images', '--json'))[0]?.['chainId']);
  const seqs = async (...argv: string[]): Promise<unknown[]> =>
    objectsOf(await done('log', '--json', ...argv)).map(({ seq }) => seq);
  t.deepEqual(await seqs(), [1, 2, 3, 4, 5, 6]);
  t.deepEqual(await seqs('--image', ids.tiny), [2, 3, 4, 5, 6]);
  t.deepEqual(await seqs('--reference', 'a:1'), [4, 5]);
  t.deepEqual(await seqs('--actor', 'ci@build-7'), [4]);
  t.deepEqual(await seqs('--type', 'referenceremoved,LayerAdded'), [1, 5]);
  t.deepEqual(await seqs('--since', '1d'), [4, 5, 6]);
  t.deepEqual(await seqs('--until', '2026-01-31'), [1, 2, 3]);
  t.deepEqual(await seqs('--since', '2026-02-01', '--until', '2026-02-01'), [4]);
  t.deepEqual(await seqs('--from', '2', '--to', '4'), [2, 3, 4]);
  t.deepEqual(await seqs('--reverse', '--limit', '2'), [6, 5]);
  t.deepEqual(await seqs('--since', 'now'), [5, 6]);
  t.deepEqual(await seqs('--since', '#4', '--until', '5'), [4, 5]);
  t.deepEqual(await seqs('--chain', chain), [1, 2]);
});

test('log of what never was says so, and of what was there without such an event says nothing', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const never = `sha256:${'0'.repeat(64)}`;
  for (const [option, name] of [
    ['--reference', 'never:1'],
    ['--actor', 'nobody'],
    ['--image', never],
    ['--chain', never],
  ] as const) {
    const { code, stdout, stderr } = await session.run('log', option, name);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, option);
    t.regex(stderr, /no event is about .*\(SUBJECT_NOT_FOUND\)\nhint: /);
  }
  t.is((await session.run('log', '--image', 'nope')).code, 3);
  t.is(await session.done('log', '--json', '--actor', 'ci@build-7', '--type', 'ImageDeleted'), '');
  t.is(await session.done('log', '--json', '--reference', 'a:1', '--from', '6'), '');
  t.like(await session.run('log', '--image', ids.tiny, '--type', 'LayerAdded'), { code: 1, stdout: '' });
});

test('a range that begins beyond the end is not there; the next event may be asked for', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { seq } = JSON.parse(await session.done('log', '--json', '--reverse', '--limit', '1')) as { seq: number };
  const beyond = { code: 3, stdout: '' };
  for (const argv of [
    ['--from', `${seq + 2}`],
    ['--since', `@${seq + 2}`],
    ['--since', '2027-01-01'],
  ]) {
    t.like(await session.run('log', '--json', ...argv), beyond, argv.join(' '));
  }
  t.is(await session.done('log', '--json', '--from', `${seq + 1}`), '');
  t.like(await session.run('at', '@5', 'log', '--from', '7'), {
    ...beyond,
    stderr:
      'as of event 5, 2026-02-02 12:00 UTC, by tester\n' +
      'imagelog: there is no event 7: the log ended at seq 5 (TIME_OUT_OF_RANGE)\n' +
      'hint: a point in time has passed, and a range goes forward; `imagelog log --reverse --limit 1` shows the last event\n',
  });
  t.like(await session.run('at', '2026-01-31', 'log', '--since', '2026-02-01'), beyond);
});

test('a range that ends before it begins is a usage error', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  for (const flags of [
    ['--from', '5', '--to', '4'],
    ['--since', '#5', '--until', '4'],
    ['--since', '1h', '--until', '2h'],
    ['--since', '2026-02-01', '--until', '2026-01-31'],
  ]) {
    const { code, stdout, stderr } = await session.run('log', ...flags);
    t.deepEqual({ code, stdout }, { code: 2, stdout: '' }, flags.join(' '));
    t.regex(stderr, /^imagelog: --(from|since) is after --(to|until)\n/);
  }
});

test('log finds an image that was deleted', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  await done('rm', 'tiny:1');
  const types = objectsOf(await done('log', '--json', '--image', 'bd10')).map(({ type }) => type);
  t.deepEqual(types, ['ImageCreated', 'ReferenceSet', 'ReferenceRemoved', 'ImageDeleted']);
});

test('log --json has the envelope first, then the own fields of the event', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const [event] = objectsOf(await session.done('log', '--json', '--from', '4', '--to', '4'));
  const id = (await session.done('resolve', 'tiny:1')).trim();
  t.is(
    JSON.stringify(event),
    JSON.stringify({
      seq: 4,
      time: '2026-02-01T12:00:00.000Z',
      type: 'ReferenceSet',
      actor: 'ci@build-7',
      reason: 'release',
      requestId: 'T-1',
      transaction: { first: 4, count: 1 },
      reference: 'docker.io/library/a:1',
      image: id,
    }),
  );
  t.like(objectsOf(await session.done('log', '--json', '--limit', '1'))[0], { reason: null, requestId: null });
});

test('log --format cloudevents has the attributes of CloudEvents 1.0', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { done } = session;
  const storeId = String(objectsOf(await done('stats', '--json'))[0]?.['storeId']);
  const id = (await done('resolve', 'tiny:1')).trim();
  const events = objectsOf(await done('log', '--format', 'cloudevents'));
  t.deepEqual(events[3], {
    specversion: '1.0',
    id: `${storeId}/4`,
    source: `/imagelog/${storeId}`,
    type: 'dev.imagelog.ReferenceSet',
    time: '2026-02-01T12:00:00.000Z',
    subject: 'docker.io/library/a:1',
    sequence: '0000000000000004',
    datacontenttype: 'application/json',
    data: {
      actor: 'ci@build-7',
      reason: 'release',
      requestId: 'T-1',
      transaction: { first: 4, count: 1 },
      reference: 'docker.io/library/a:1',
      image: id,
    },
  });
  t.is(new Set(events.map((event) => event['id'])).size, 6);
  t.is(events[1]?.['subject'], id);
});

test('metadata is text where it can be read, and base64 where it cannot', async (t) => {
  const { done, store: directory } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const store = await openStore(directory, { now: () => SESSION_START });
  const id = store.search(ids.tiny);
  await store.setMetadata(id, 'note', new TextEncoder().encode('für später'));
  await store.setMetadata(id, 'bytes', Uint8Array.of(0, 255, 27));
  await store.close();
  const [text, bytes] = objectsOf(await done('log', '--json', '--type', 'MetadataSet'));
  t.like(text, { key: 'note', value: 'für später' });
  t.false('valueEncoding' in (text ?? {}));
  t.like(bytes, { key: 'bytes', value: 'AP8b', valueEncoding: 'base64' });
  const table = await done('log', '--events', '--type', 'MetadataSet', '--quiet');
  t.regex(table, /bd10de19d2be note = für später\n.*bd10de19d2be bytes = 3 B\n$/);
});

test('log --follow shows what is written after it began, and keeps no writer out', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const controller = new AbortController();
  const writes = [
    async () => session.done('tag', 'tiny:1', 'c:1'),
    async () => session.done('tag', 'tiny:1', 'c:2'),
    async () => controller.abort(new Interruption('SIGINT')),
  ];
  const written: Promise<unknown>[] = [];
  // The first line shown starts the first write, its line the second, and that one's line ends the run.
  const onOutput = (): void => {
    const write = writes.shift();
    if (write !== undefined) written.push(write());
  };
  const following = session.runIn({ onOutput, signal: controller.signal }, 'log', '--follow', '--json', '--from', '6');
  const { code, stdout } = await following;
  await Promise.all(written);
  t.is(code, 130);
  t.deepEqual(
    objectsOf(stdout).map(({ seq, reference }) => [seq, reference]),
    [
      [6, 'docker.io/library/b:1'],
      [7, 'docker.io/library/c:1'],
      [8, 'docker.io/library/c:2'],
    ],
  );
});

test('log --follow passes from the past into what comes, and waits for a name that was never there', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { done, run } = session;
  let tagging: Promise<unknown> | undefined;
  const follow = async (...argv: string[]): Promise<unknown[]> => {
    const onOutput = (): void => {
      tagging ??= done('tag', 'tiny:1', 'd:1');
    };
    const { code, stdout } = await session.runIn({ onOutput }, 'log', '--follow', '--json', ...argv);
    t.is(code, 0);
    return objectsOf(stdout).map(({ seq }) => seq);
  };
  t.deepEqual(await follow('--since', '1d', '--limit', '4'), [4, 5, 6, 7]);
  await tagging;
  const waiting = follow('--reference', 'new:1', '--limit', '1');
  await done('tag', 'tiny:1', 'new:1');
  t.deepEqual(await waiting, [8]);
  t.is((await run('log', '--follow', '--at', '3')).code, 2);
});

test('log --follow ends by itself at its limit, and goes with nothing that has an end', async (t) => {
  const session = await startSession(t);
  await threeDays(session);
  const { run, done } = session;
  t.is(objectsOf(await done('log', '--follow', '--limit', '2', '--json')).length, 2);
  for (const flags of [['--reverse'], ['--to', '9'], ['--until', 'now']]) {
    t.is((await run('log', '--follow', ...flags)).code, 2, flags.join(' '));
  }
});

const HOUR_MS = 3_600_000;

test('now is the end of the log, also when the clock ran ahead once and was set right', async (t) => {
  const session = await startSession(t);
  const { done, run, wait } = session;
  await done('load', '--quiet', archive('docker25-all.tar'));
  wait(HOUR_MS);
  await done('tag', 'twice:1', 'ahead:1');
  wait(-HOUR_MS / 2);
  await done('tag', 'twice:1', 'just:now');
  const last = objectsOf(await done('log', '--json', '--reverse', '--limit', '1'))[0]?.['seq'];
  t.is(objectsOf(await done('log', '--json', '--until', 'now')).at(-1)?.['seq'], last);
  t.is(objectsOf(await done('log', '--json', '--since', 'now')).at(-1)?.['seq'], last);
  t.is(objectsOf(await done('log', '--json', '--at', 'now')).at(-1)?.['seq'], last);
  t.regex(await done('at', 'now', 'images'), /just:now/);
  t.regex(await done('diff', '1'), /just:now/);
  await done('rm', '--quiet', '--force', 'tiny:1');
  t.regex(await done('prune', '--before', 'now'), /would free/);
  t.is((await run('log', '--since', 'now', '--until', '1')).code, 0);
  const written: Promise<unknown>[] = [];
  // The head of the table is shown when the end of the log is known.
  const onOutput = (): void => {
    if (written.length === 0) written.push(done('tag', 'twice:1', 'later:1'));
  };
  const { stdout } = await session.runIn({ onOutput }, 'log', '--follow', '--since', 'now', '--limit', '1');
  await Promise.all(written);
  t.is(stdout.trimEnd().split('\n').length, 2);
  t.regex(stdout, /later:1/);
});

test('what cannot be seen in an actor, a reason or an argument is shown escaped by every command', async (t) => {
  const { run, done } = await startSession(t);
  const hidden = 'a\u00ad\u034f\u115f\u180e\u200b\u202e\u2800\u3164\ufe0f\uffa0\u{e0041}b';
  const envelope = ['--actor', hidden, '--reason', hidden, '--request-id', hidden];
  await done('load', archive('docker25-untagged.tar'), ...envelope);
  const [image = ''] = (await done('images', '--quiet')).split('\n');
  await done('tag', image, 'shop/app:1', ...envelope);
  for (const argv of [
    ['log'],
    ['log', '--json'],
    ['log', '--actor', hidden],
    ['refs', 'shop/app:1'],
    ['refs', 'shop/app:1', '--json'],
    ['diff', '0', 'now'],
    ['inspect', hidden],
    ['resolve', `shop/${hidden}`],
    ['log', '--since', hidden],
    ['load', hidden],
    ['log', '--actor', `no${hidden}`],
    [hidden],
  ]) {
    const { stdout, stderr } = await run(...argv);
    t.notRegex(stdout + stderr, /[\p{Default_Ignorable_Code_Point}\u2800]/u, argv.join(' '));
    t.regex(stdout + stderr, /a\\u00ad\\u034f/, argv.join(' '));
  }
});

test('a clock behind the last event is a notice, and stands beside the time of each event', async (t) => {
  const { done, run, wait } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  wait(-10 * 365 * 24 * 3_600_000);
  const { code, stderr } = await run('tag', 'tiny:1', 'x:1', '--reason', 'why');
  t.is(code, 0);
  t.regex(stderr, /notice: the clock says 2016-.*, and the last event, \d+, was written at 2026-01-31T12:00:00.000Z/);
  const [event] = objectsOf(await done('log', '--json', '--reference', 'x:1'));
  t.like(event, { time: '2026-01-31T12:00:00.000Z', clock: '2016-02-03T12:00:00.000Z' });
  t.regex(await done('log', '--reference', 'x:1'), / x:1 → bd10de19d2be {2}clock 2016-02-03 12:00:00 {2}“why”\n/);
  const [cloud] = objectsOf(await done('log', '--format', 'cloudevents', '--reference', 'x:1'));
  t.like(cloud, { time: '2026-01-31T12:00:00.000Z', data: { clock: '2016-02-03T12:00:00.000Z' } });
});
