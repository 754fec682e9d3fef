import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { understand } from './grammar.js';
import { archive, ids, objectsOf, SESSION_START, type Session, startSession } from './session.js';

const HOUR_MS = 3_600_000;

/** Loads images at 12:00, moves a name at 13:00, deletes an image at 14:00, and is asked at 16:00. */
async function afternoon({ done, wait }: Session): Promise<void> {
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', '--quiet', 'shop/app:1.0', 'shop/app:prod');
  wait(HOUR_MS);
  await done('tag', '--quiet', '--actor', 'ana', '--reason', 'release 2.0', 'shop/app:2.0', 'shop/app:prod');
  wait(HOUR_MS);
  await done('rm', '--quiet', '--reason', 'old', 'twice:1');
  wait(2 * HOUR_MS);
}

async function started(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t);
  await afternoon(session);
  return session;
}

test('images, tree, resolve, refs, history, inspect, log and stats answer as of a point in time', async (t) => {
  const { done } = await started(t);
  t.regex(await done('images', '--at', '12'), /^REFERENCE/);
  t.is(objectsOf(await done('images', '--json')).length, 4);
  t.is(objectsOf(await done('at', '150m', 'images', '--json')).length, 5);
  t.regex(await done('at', '2026-01-31T13:30', 'tree'), /\n6351c87e3f65 .* twice:1\n/);
  t.is(await done('at', '2026-01-31T13:30', 'images', '--tree'), await done('tree', '--at', '2026-01-31T13:30'));
  t.is((await done('at', '2026-01-31T12:59:59Z', 'resolve', 'shop/app:prod')).slice(7, 19), ids.appOne);
  t.is((await done('resolve', '--at', '2026-01-31T14:00+01:00', 'shop/app:prod')).slice(7, 19), ids.appTwo);
  t.regex(await done('at', '3h', 'history', 'twice:1'), /^CREATED/);
  t.is(objectsOf(await done('at', '3h', 'log', '--json')).length, 29);
  t.like(objectsOf(await done('stats', '--at', '3h', '--json'))[0], {
    events: 29,
    images: 5,
    references: 8,
    layers: 7,
    blobs: null,
    blobBytes: null,
    lastEventAt: '2026-01-31T13:00:00.000Z',
  });
  t.regex(await done('at', '3h', 'stats'), /\nlayers {6}7\n$/);
});

test('in the past an image is inspected that was deleted since', async (t) => {
  const { done, run } = await started(t);
  t.is((await run('inspect', 'twice:1')).code, 3);
  const [image] = objectsOf(await done('at', '29', 'inspect', '--json', 'twice:1'));
  t.is(String(image?.['id']).slice(7, 19), ids.twice);
  t.like(image, { references: ['docker.io/library/twice:1'], head: true });
  t.like(image?.['layers'], [{ size: 62 }, { size: 0 }]);
  t.is(objectsOf(await done('inspect', '--at', '29', '--json', ids.twice)).length, 1);
});

test('refs tells the life of a name as it was known then', async (t) => {
  const { done, run } = await started(t);
  const [interval, ...rest] = objectsOf(await done('refs', '--at', '2026-01-31T12:59', '--json', 'shop/app:prod'));
  t.deepEqual(rest, []);
  t.like(interval, { until: null, untilSeq: null, previous: null, seq: 28 });
  const drawn = await done('refs', '--at', '2026-01-31T12:59', 'shop/app:prod');
  t.regex(drawn, /^shop\/app:prod → bb0c8ffbd8b1, for 59 min\n/);
  t.regex(drawn, /\n2026-01-31 12:00 +2026-01-31 12:59\n/);
  t.is(objectsOf(await done('refs', '--json', 'shop/app:prod')).length, 2);
  t.is((await run('refs', '--at', '27', 'shop/app:prod')).code, 3);
});

test('a name that was not there then is not found, and one that is not a point in time is a usage error', async (t) => {
  const { run } = await started(t);
  for (const argv of [
    ['resolve', '--at', '27', 'shop/app:prod'],
    ['at', '0', 'resolve', 'tiny:1'],
    ['at', '27', 'refs', 'shop/app:prod'],
    ['inspect', '--at', '1', 'tiny:1'],
    ['at', 'now', 'inspect', 'twice:1'],
  ]) {
    const { code, stdout, stderr } = await run(...argv);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, argv.join(' '));
    t.regex(stderr, /_NOT_FOUND\)\nhint: /);
  }
  for (const argv of [
    ['images', '--at', 'noon'],
    ['at', '2026-02-30', 'images'],
    ['diff', 'x'],
    ['at', '-1', 'images'],
  ])
    t.like(await run(...argv), { code: 2, stdout: '' }, argv.join(' '));
});

test('before the first event the store is empty, and what has not happened yet is out of range', async (t) => {
  const { done, run } = await started(t);
  for (const when of ['0', '#0', '2026-01-30', '1w']) {
    t.is(await done('images', '--at', when, '--json'), '', when);
    t.like(objectsOf(await done('at', when, 'stats', '--json'))[0], { events: 0, images: 0, lastEventAt: null }, when);
    t.is(await done('at', when, 'log', '--json'), '', when);
  }
  for (const when of ['999', '2026-01-31T16:00:01Z', '2026-02-01']) {
    for (const argv of [
      ['at', when, 'images'],
      ['resolve', '--at', when, 'tiny:1'],
      ['diff', '1', when],
    ]) {
      const { code, stdout, stderr } = await run(...argv);
      t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, argv.join(' '));
      t.regex(stderr, /\(TIME_OUT_OF_RANGE\)\nhint: a point in time has passed, and a range goes forward/);
    }
  }
  t.is(await done('at', '2026-01-31', 'images'), await done('images'), 'today is up to now');
});

test('the end of the log is now, also for a clock that went back', async (t) => {
  const session = await started(t);
  session.wait(-3 * HOUR_MS);
  t.is(await session.done('at', 'now', 'images'), await session.done('images'));
});

test('options stand before the point in time, before the command and after it', async (t) => {
  const { done, folder, store } = await started(t);
  const expected = await done('images', '--at', '29', '--json');
  const elsewhere = `${folder}/elsewhere`;
  for (const argv of [
    ['--json', '--store', store, 'at', '29', 'images'],
    ['at', '--json', '--store', store, '29', 'images'],
    ['at', '29', '--json', '--store', store, 'images'],
    ['--store', elsewhere, 'at', '29', 'images', '--json', '--store', store],
  ])
    t.is(await done(...argv), expected, argv.join(' '));
});

const refuses = test.macro({
  title: (_, argv: readonly string[]) => `\`imagelog ${argv.join(' ')}\` is refused`,
  exec: async (t: ExecutionContext, argv: readonly string[], message: string) => {
    const { code, stdout, stderr, action } = await understand(...argv);
    t.deepEqual({ code, stdout, action }, { code: 2, stdout: '', action: undefined });
    t.true(stderr.startsWith(`imagelog: ${message}`), stderr);
  },
});

const CAN = 'images, tree, search, inspect, history, meta, referrers, resolve, refs, log, stats, page can';
test(refuses, ['at', '12', 'tag', 'a', 'b'], `tag cannot be run in the past; ${CAN}\nhint: `);
test(refuses, ['at', '12', 'load', 'a.tar'], `load cannot be run in the past; ${CAN}\n`);
test(refuses, ['at', '12', 'save', 'a'], `save cannot be run in the past; ${CAN}\n`);
test(refuses, ['at', '12', 'rm', 'a'], `rm cannot be run in the past; ${CAN}\n`);
test(refuses, ['at', '12', 'untag', 'a'], `untag cannot be run in the past; ${CAN}\n`);
test(refuses, ['at', '12', 'diff', '1', '2'], `diff cannot be run in the past; ${CAN}\n`);
test(refuses, ['at', '12', 'image'], "unknown command 'image' (Did you mean images?)");
test(refuses, ['at', '12', 'images', '--bogus'], "unknown option '--bogus'");
test(refuses, ['at', '12', 'images', '--at', '11'], "unknown option '--at'");
test(refuses, ['at', '12'], "missing required argument 'command'");
test(refuses, ['at'], "missing required argument 'when'");
test(
  refuses,
  ['at', 'noon', 'images'],
  "command-argument value 'noon' is invalid for argument 'when'. \"noon\" is not a point in time: expected an event",
);

test('the help of a command in the past shows how it is typed', async (t) => {
  const { code, stdout } = await understand('at', '12', 'images', '--help');
  t.is(code, 0);
  t.regex(stdout, /^Usage: imagelog at WHEN images\|ls \[options\]\n/);
  t.notRegex(stdout, /^ {2}--at/m);
});

test('diff says what was added, removed and changed, by whom and why', async (t) => {
  const { done } = await started(t);
  t.is(
    await done('diff', '28', 'now'),
    `CHANGE           VALUE                        TIME (UTC)        BY      WHY
References
~ shop/app:prod  bb0c8ffbd8b1 → cb4c372bec4c  2026-01-31 13:00  ana     “release 2.0”
− twice:1        6351c87e3f65                 2026-01-31 14:00  tester  “old”
Images
− 6351c87e3f65                                2026-01-31 14:00  tester  “old”
Layers
− fe220e5ff5f5   0 B                          2026-01-31 14:00  tester  “old”
− bc63558b029a   28 B                         2026-01-31 14:00  tester  “old”
− b718cad37739   0 B                          2026-01-31 14:00  tester  “old”
`,
  );
});

test('diff has metadata and parents too, and a change that was undone is not one', async (t) => {
  const { done, run, store: directory } = await started(t);
  const store = await openStore(directory, { actor: 'tester', now: () => SESSION_START + 4 * HOUR_MS });
  const [tiny, lib] = [store.search(ids.tiny), store.search(ids.tinyLib)];
  const { seq } = store.log.head;
  await store.setMetadata(tiny, 'note', new TextEncoder().encode('für später'));
  await store.setMetadata(tiny, 'bytes', Uint8Array.of(0, 255));
  await store.setParent(store.search(ids.appOne), tiny);
  await store.tag({ source: lib, target: 'gone:1' });
  await store.untag('gone:1');
  await store.close();
  const text = await done('diff', String(seq));
  t.regex(
    text,
    /^CHANGE .*\nParents\n~ bb0c8ffbd8b1 +612786da9e60 → bd10de19d2be .*\nMetadata\n\+ bd10de19d2be note +für später .*\n\+ bd10de19d2be bytes +2 B /,
  );
  const changes = objectsOf(await done('diff', String(seq), '--json'));
  t.deepEqual(
    changes.map(({ kind, change }) => [kind, change]),
    [
      ['parent', 'changed'],
      ['metadata', 'added'],
      ['metadata', 'added'],
    ],
  );
  t.deepEqual(Object.keys(changes[0] ?? {}), [
    'kind',
    'change',
    'key',
    'before',
    'after',
    'seq',
    'time',
    'actor',
    'reason',
    'requestId',
  ]);
  t.like(changes[0], { before: lib, after: tiny, time: '2026-01-31T16:00:00.000Z', actor: 'tester', reason: null });
  t.like(changes[1], { key: `${tiny}/note`, before: null, after: { value: 'für später' } });
  t.like(changes[2], { after: { value: 'AP8=', valueEncoding: 'base64' } });
  t.like(await run('diff', String(seq + 3), String(seq)), { code: 2, stdout: '' }, 'it goes forward in time');
});

test('diff of one point in time is empty and says so to a person', async (t) => {
  const session = await started(t);
  t.is(await session.done('diff', '12', '12'), '');
  const told = await session.runIn({ columns: 80, env: { NO_COLOR: '1' } }, 'diff', '12', '#12');
  t.deepEqual(
    { ...told, bytes: undefined },
    {
      code: 0,
      stdout: '',
      stderr: 'from event 12, 2026-01-31 12:00 UTC, to event 12, 2026-01-31 12:00 UTC\nnothing is different\n',
      bytes: undefined,
    },
  );
});

test('what is compared with the beginning is all that there is', async (t) => {
  const { done } = await started(t);
  const kinds = objectsOf(await done('diff', '0', '--json')).map(({ kind, change }) => `${kind} ${change}`);
  t.is(kinds.filter((each) => each === 'image added').length, 4);
  t.true(kinds.every((each) => each.endsWith(' added')));
});

test('the request id of a change or a removal is beside its reason', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  const id = (await session.done('resolve', 'a:1')).trim();
  await session.done('--reason', 'too old', '--request-id', 'INC-77', 'rm', 'a:1');
  for (const columns of [80, 140]) {
    for (const argv of [
      ['diff', '@1'],
      ['search', '--all', id.slice(7, 15), ...(columns === 80 ? ['--no-trunc'] : [])],
    ]) {
      const { stdout } = await session.runIn({ columns }, ...argv, '--no-pager', '--no-color');
      t.regex(stdout, /“too old” \(INC-77\)/);
    }
  }
});
