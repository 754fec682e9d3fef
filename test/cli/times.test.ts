import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { machineTimeZone } from '../../src/cli/machine-time-zone.js';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { systemTimeZone } from '../../src/model/time-zone.js';
import { archive, ids, objectsOf, type Ran, type Session, SESSION_START, startSession } from './session.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NEW_YORK = 'America/New_York';
const plain = { NO_COLOR: '1' };

/** Runs on a terminal of `columns`, in a zone. */
function inZone(session: Session, timeZone: string, columns?: number) {
  return (...argv: string[]): Promise<Ran> =>
    session.runIn({ env: plain, timeZone, ...(columns === undefined ? {} : { columns }) }, ...argv);
}

/**
 * Loads images on Saturday, 2026-11-28 at 21:00 UTC; ana sets shop/app:prod at 21:00, and bob moves it
 * at 13:51:17 UTC on Sunday, 08:51:17 in New York. It is 14:30 UTC.
 */
async function moved(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t, '2026-11-28T21:00:00Z');
  const { done, wait } = session;
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', '--quiet', '--actor', 'ana', 'shop/app:1.0', 'shop/app:prod');
  wait(16 * HOUR_MS + 51 * MINUTE_MS + 17_000);
  await done('tag', '--quiet', '--actor', 'bob', '--reason', 'release', 'shop/app:2.0', 'shop/app:prod');
  await done('tag', '--quiet', 'tiny:1', 'other:1');
  wait(38 * MINUTE_MS + 43_000);
  return session;
}

test('in New York, resolve --at 09:00 answers what refs shows at 08:51, and says which event did it', async (t) => {
  const run = inZone(await moved(t), NEW_YORK);
  const refs = (await run('refs', 'shop/app:prod')).stdout;
  t.regex(refs, /^ {2}IMAGE +SINCE \(EST\) +FOR/m);
  t.regex(refs, new RegExp(`^█ ${ids.appTwo}  2026-11-29 08:51 `, 'm'));
  for (const when of [
    '2026-11-29T09:00',
    '2026-11-29 08:51',
    '2026-11-29T08:51:17',
    '2026-11-29 08:51 EST',
    '09:00',
    'today',
    '10m',
  ]) {
    const { stdout, stderr } = await run('resolve', '--at', when, 'shop/app:prod');
    t.is(stdout.slice(7, 19), ids.appTwo, when);
    t.is(stderr, 'as of event 29, 2026-11-29 08:51 EST, set by bob\n', when);
  }
  for (const when of [
    '2026-11-29T08:50',
    '2026-11-29T08:51:16',
    '2026-11-28',
    'yesterday',
    'yesterday 16:00',
    '1h',
    '2026-11-29T08:51Z',
    '@28',
  ]) {
    const { stdout, stderr } = await run('resolve', '--at', when, 'shop/app:prod');
    t.is(stdout.slice(7, 19), ids.appOne, when);
    t.is(stderr, 'as of event 28, 2026-11-28 16:00 EST, set by ana\n', when);
  }
});

test('--utc makes times UTC, typed and printed, wherever it stands', async (t) => {
  const run = inZone(await moved(t), NEW_YORK);
  for (const argv of [
    ['--utc', 'resolve', '--at', '2026-11-29T13:51', 'shop/app:prod'],
    ['resolve', '--at', '2026-11-29T13:51', '--utc', 'shop/app:prod'],
    ['at', '2026-11-29T13:51', 'resolve', 'shop/app:prod', '--utc'],
  ]) {
    const { stdout, stderr } = await run(...argv);
    t.is(stdout.slice(7, 19), ids.appTwo, argv.join(' '));
    t.is(stderr, 'as of event 29, 2026-11-29 13:51 UTC, set by bob\n');
  }
  t.is((await run('resolve', '--utc', '--at', '2026-11-29T13:50', 'shop/app:prod')).stdout.slice(7, 19), ids.appOne);
  t.regex((await run('refs', '--utc', 'shop/app:prod')).stdout, /SINCE \(UTC\)[\s\S]*2026-11-29 13:51 /);
  t.regex((await run('log', '--utc')).stdout, /^SEQ +TIME \(UTC\) .*\n.* 2026-11-28 21:00:00 /);
  t.regex((await run('log')).stdout, /^SEQ +TIME \(EST\) .*\n.* 2026-11-28 16:00:00 /);
  t.is(objectsOf((await run('log', '--json', '--since', '2026-11-29T08:51')).stdout).length, 2);
  t.is(objectsOf((await run('log', '--json', '--utc', '--since', '2026-11-29T13:52')).stdout).length, 0);
  t.is(objectsOf((await run('log', '--json', '--until', 'yesterday')).stdout).length, 28);
});

test('JSON has UTC in any zone', async (t) => {
  const run = inZone(await moved(t), NEW_YORK);
  const times = [
    ...objectsOf((await run('log', '--json')).stdout).map(({ time }) => time),
    ...objectsOf((await run('refs', '--json', 'shop/app:prod')).stdout).map(({ from }) => from),
    ...objectsOf((await run('diff', '--json', '28')).stdout).map(({ time }) => time),
  ];
  t.is(times.length, 30 + 2 + 2);
  for (const time of times) t.regex(String(time), /^2026-11-2\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('a past answer names the last event included, or those that set its references', async (t) => {
  const run = inZone(await moved(t), NEW_YORK, 80);
  const told = async (...argv: string[]): Promise<string> => (await run(...argv)).stderr;
  const last = 'as of event 30, 2026-11-29 08:51 EST, by tester\n';
  const set = 'as of event 29, 2026-11-29 08:51 EST, set by bob\n';
  for (const command of ['images', 'tree', 'stats', 'log']) t.is(await told('at', 'now', command), last, command);
  t.is(await told('images', '--json', '--at', 'now'), last);
  t.is(await told('images', '--quiet', '--at', 'now'), '');
  t.is(await told('at', '10m', 'resolve', '--quiet', 'shop/app:prod'), '');
  for (const command of ['refs', 'inspect', 'history', 'resolve']) {
    t.is(await told('at', 'now', command, 'shop/app:prod'), set, command);
  }
  t.is(await told('at', 'now', 'inspect', ids.appTwo), last);
  const one = await told('at', 'now', 'inspect', 'shop/app:1.0');
  t.regex(one, /^as of event \d+, 2026-11-28 16:00 EST, set by tester\n$/);
  t.is(await told('at', 'now', 'inspect', 'shop/app:prod', 'shop/app:1.0'), `shop/app:prod ${set}shop/app:1.0 ${one}`);
  t.is(await told('at', 'now', 'inspect', 'shop/app:prod', ids.tiny), `shop/app:prod ${set}${last}`);
  t.is(await told('at', '0', 'images'), 'as of the beginning, before the first event\n');
  t.is(await told('images'), '');
});

test('an event that sets a reference again, or removes it, is told as what it did', async (t) => {
  const session = await moved(t);
  session.wait(HOUR_MS);
  await session.done('load', '--quiet', archive('docker25-all.tar'));
  const run = inZone(session, 'UTC');
  const before = (await run('resolve', '--at', '27', 'shop/app:1.0')).stderr;
  t.is((await run('resolve', '--at', 'now', 'shop/app:1.0')).stderr, before);
  await session.done('untag', '--quiet', '--actor', 'eve', 'shop/app:prod');
  t.regex(
    (await run('refs', '--at', 'now', 'shop/app:prod')).stderr,
    /^as of event \d+, 2026-11-29 15:30 UTC, removed by eve\n$/,
  );
  t.like(await run('resolve', '--at', 'now', 'shop/app:prod'), { code: 3, stdout: '' });
});

test('words are of the clock and the zone', async (t) => {
  const session = await moved(t);
  session.wait(2 * DAY_MS);
  const run = inZone(session, NEW_YORK);
  const seqAt = async (when: string): Promise<unknown> =>
    objectsOf((await run('at', when, 'stats', '--json')).stdout)[0]?.['events'];
  t.is(await seqAt('2 days ago'), 30);
  t.is(await seqAt('2.days.ago'), 30);
  t.is(await seqAt('last sunday'), 30);
  t.is(await seqAt('sunday 08:50'), 28);
  t.is(await seqAt('saturday'), 28);
  t.is(await seqAt('saturday 15:59'), 0);
  t.is(await seqAt('3d'), 0);
  t.is(await seqAt('an hour ago'), 30);
  const future = await run('at', '23:59', 'images');
  t.is(future.code, 3);
  t.regex(future.stderr, /^imagelog: 23:59 is in the future: it is 2026-12-01 09:30:00 EST \(TIME_OUT_OF_RANGE\)\n/);
});

test('a zone that is not the one then is refused', async (t) => {
  const session = await moved(t);
  const { code, stderr } = await inZone(session, 'UTC')('at', '2026-11-29 08:51 EST', 'images');
  t.is(code, 2);
  t.regex(stderr, /the zone is UTC then \(UTC\), .* give an offset instead of EST/);
  const later = await inZone(session, NEW_YORK)('at', '2026-11-29 08:51 EST', 'images', '--utc');
  t.is(later.code, 2);
  t.regex(later.stderr, /instead of EST \(TIME_INVALID\)\nhint: `imagelog help at` lists/);
});

test('an end of daylight saving inside a table is in its head, and in the hour that came twice', async (t) => {
  const session = await startSession(t, '2026-11-01T05:30:00Z');
  const { done, wait } = session;
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await done('tag', '--quiet', 'tiny:1', 'a:1');
  wait(HOUR_MS);
  await done('tag', '--quiet', 'tiny:1', 'b:1');
  await done('untag', '--quiet', 'a:1');
  wait(HOUR_MS);
  await done('tag', '--quiet', 'tiny:1', 'a:1');
  for (const columns of [80, 140]) {
    const run = inZone(session, NEW_YORK, columns);
    const { stdout } = await run('refs', 'a:1');
    t.regex(stdout, /SINCE \(EST\/EDT\)/);
    t.regex(stdout, / 2026-11-01 02:30 +/);
    t.regex(stdout, /removed +2026-11-01 01:30 EST /);
    t.regex(stdout, /bd10de19d2be +2026-11-01 01:30 EDT /);
    for (const line of stdout.split('\n')) t.true(displayWidth(line) <= columns, line);
  }
  const run = inZone(session, NEW_YORK);
  const seqs = async (...argv: string[]): Promise<unknown[]> =>
    objectsOf((await run('log', '--json', ...argv)).stdout).map(({ seq }) => seq);
  t.deepEqual(await seqs('--since', '2026-11-01 01:30', '--until', '2026-11-01 01:30'), [1, 2, 3, 4, 5, 6]);
  t.deepEqual(await seqs('--since', '2026-11-01 01:30 EST', '--until', '2026-11-01 01:30 EST'), [5, 6]);
  t.deepEqual(await seqs('--since', '2026-11-01 01:30-04:00', '--until', '2026-11-01 01:59-04:00'), [1, 2, 3, 4]);
  t.regex((await run('log')).stdout, /^SEQ +TIME \(EST\/EDT\) /);
  t.regex((await inZone(session, NEW_YORK, 80)('log')).stdout, /^SEQ +TIME \(EST\/EDT\) /);
});

for (const [timeZone, zone, time] of [
  ['Europe/Berlin', '+01:00', '2026-11-29 14:51'],
  ['Asia/Kolkata', '+05:30', '2026-11-29 19:21'],
  ['Pacific/Chatham', '+13:45', '2026-11-30 03:36'],
] as const) {
  test(`times in ${timeZone} are typed as they are printed, at 80 and at 140 columns`, async (t) => {
    const session = await moved(t);
    for (const columns of [80, 140]) {
      const run = inZone(session, timeZone, columns);
      const outputs = [
        (await run('refs', 'shop/app:prod')).stdout,
        (await run('diff', '28')).stdout,
        (await run('images')).stdout,
      ];
      for (const output of outputs) {
        for (const line of output.split('\n')) t.true(displayWidth(line) <= columns, line);
      }
      t.regex(outputs[0] ?? '', new RegExp(`SINCE \\(${zone.replace('+', '\\+')}\\)[\\s\\S]*${time} `));
      t.regex(outputs[1] ?? '', new RegExp(`TIME \\(${zone.replace('+', '\\+')}\\)[\\s\\S]*${time} `));
      const { stdout, stderr } = await run('resolve', '--at', `${time} ${zone}`, 'shop/app:prod');
      t.is(stdout.slice(7, 19), ids.appTwo);
      t.is(stderr, `as of event 29, ${time} ${zone}, set by bob\n`);
      t.is((await run('resolve', '--at', time, 'shop/app:prod')).stdout, stdout);
    }
  });
}

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

async function inProcess(folder: string, TZ: string, ...argv: string[]): Promise<{ stdout: string; stderr: string }> {
  const env = { ...process.env, IMAGELOG_STORE: join(folder, 'store'), NO_COLOR: '1', TZ };
  const child = spawn(process.execPath, [main, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { stdout, stderr };
}

test('TZ is the zone of a process; one that is not known is a notice', async (t) => {
  const folder = await temporaryDirectory(t);
  let time = Date.parse('2026-07-01T13:51:17Z');
  const store = await openStore(join(folder, 'store'), { now: () => time, actor: 'bob' });
  await store.load(archive('docker25-all.tar'));
  time += MINUTE_MS;
  await store.tag({ source: 'shop/app:2.0', target: 'shop/app:prod' });
  await store.close();
  const refs = ['refs', 'shop/app:prod'];
  t.regex((await inProcess(folder, NEW_YORK, ...refs)).stdout, /\nsince 2026-07-01 09:52 EDT, by bob\n/);
  t.regex((await inProcess(folder, `:${NEW_YORK}`, ...refs)).stdout, /\nsince 2026-07-01 09:52 EDT, by bob\n/);
  t.regex((await inProcess(folder, NEW_YORK, '--utc', ...refs)).stdout, /\nsince 2026-07-01 13:52 UTC, by bob\n/);
  t.regex((await inProcess(folder, '', ...refs)).stdout, /\nsince 2026-07-01 13:52 UTC, by bob\n/);
  const resolved = await inProcess(folder, 'Asia/Kolkata', 'resolve', '--at', '2026-07-01 19:22', 'shop/app:prod');
  t.is(resolved.stdout.slice(7, 19), ids.appTwo);
  t.is(resolved.stderr, 'as of event 28, 2026-07-01 19:22 +05:30, set by bob\n');
  const posix = await inProcess(folder, 'UTC+5', ...refs);
  t.regex(posix.stdout, /\nsince 2026-07-01 08:52 -05:00, by bob\n/);
  t.is(
    posix.stderr,
    'imagelog: notice: TZ=UTC+5 is not an IANA time zone, like America/New_York: times are in Etc/GMT+5\n',
  );
  const unknown = await inProcess(folder, 'Mars/Olympus', ...refs);
  t.regex(unknown.stdout, /\nsince 2026-07-01 13:52 UTC, by bob\n/);
  t.regex(unknown.stderr, /^imagelog: notice: TZ=Mars\/Olympus is not .*: times are in UTC\n$/);
});

test('the zone that is known without Intl is the one that Intl gives', (t) => {
  const zoneOf = (wanted: string | undefined): string => machineTimeZone(wanted, (notice) => t.fail(notice));
  t.is(zoneOf(process.env['TZ']), systemTimeZone());
  t.is(zoneOf('UTC'), 'UTC');
  t.is(zoneOf(':UTC'), 'UTC');
});

test('an hour that clocks show twice is marked in the log, and the columns after it stand', async (t) => {
  const session = await startSession(t, '2026-11-01T05:30:00Z');
  await session.done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  session.wait(3_600_000);
  await session.done('--reason', 'again, and for a good reason', 'tag', 'a:1', 'b:1');
  session.wait(3_600_000);
  await session.done('tag', 'a:1', 'c:1');
  for (const events of [[], ['--events', '--type', 'ReferenceSet']]) {
    for (const columns of [80, 100, 140]) {
      const { stdout } = await session.runIn({ columns, timeZone: 'America/New_York' }, 'log', '--no-color', ...events);
      const lines = stdout.trimEnd().split('\n');
      t.true(
        lines.every((line) => displayWidth(line) <= columns),
        stdout,
      );
      for (const text of ['2026-11-01 01:30:00 EDT', '2026-11-01 01:30:00 EST', '2026-11-01 02:30:00']) {
        t.true(stdout.includes(text), text);
      }
      t.false(stdout.includes('02:30:00 EST'));
      const places = ['b:1 →', 'c:1 →'].map((text) => lines.find((line) => line.includes(text))?.indexOf(text));
      if (columns >= 100) t.is(places[0], places[1], stdout);
    }
  }
});

test('a hint for a command at an event beyond 1969 is one that is taken', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  const store = await openStore(session.store, { now: () => SESSION_START });
  const image = store.resolve('a:1');
  const value = new Uint8Array(1);
  while (store.log.head.seq < 2026) {
    const count = 2026 - store.log.head.seq;
    await Promise.all(Array.from({ length: count }, (_, at) => store.setMetadata(image, `key-${at}`, value)));
  }
  await store.close();
  await session.done('untag', 'a:1');
  const { stderr } = await session.run('resolve', 'a:1');
  const [, line = ''] = /`imagelog ([^`]+)`/.exec(stderr) ?? [];
  t.is(line, 'at @2026 resolve a:1');
  await session.done(...line.split(' '));
  const later = await session.run('resolve', 'b:1', '--at', '@2026');
  t.true(later.stderr.includes('`imagelog at @2026 images`'), later.stderr);
});
