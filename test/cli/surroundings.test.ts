import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { storeDirectory } from '../../src/cli/store-directory.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

const ESCAPE = '\u001b';
const HOUR_MS = 3_600_000;

/** Loads images, and gives them an actor, reasons and names of every width. */
async function wideStore({ done, wait }: Session): Promise<void> {
  await done('load', '--quiet', archive('docker25-all.tar'), archive('oci-multi-platform.tar'));
  for (const source of ['tiny:1', 'shop/app:1.0', 'shop/app:2.0']) {
    await done(
      'tag',
      '--quiet',
      '--actor',
      '李小龙@构建服务器',
      '--reason',
      '回滚到上一个版本，因为出错',
      source,
      'shop/app:prod',
    );
    wait(HOUR_MS);
  }
}

const readingCommands: readonly (readonly string[])[] = [
  ['images'],
  ['images', '--tree'],
  ['history', 'shop/app:2.0'],
  ['log'],
  ['log', '--reverse'],
  ['refs', 'shop/app:prod'],
  ['at', '20', 'tree'],
  ['diff', '0'],
];

const fits = test.macro({
  title: (_, columns: number) => `every table fits ${columns} columns`,
  exec: async (t: ExecutionContext, columns: number) => {
    const session = await startSession(t);
    await wideStore(session);
    for (const argv of readingCommands) {
      const { code, stdout } = await session.runIn({ columns, env: { NO_COLOR: '1' } }, ...argv);
      t.is(code, 0);
      for (const line of stdout.split('\n')) t.true(displayWidth(line) <= columns, `${argv.join(' ')}: ${line}`);
    }
  },
});

test(fits, 40);
test(fits, 60);
test(fits, 80);
test(fits, 200);

test('a pipe gets every name whole', async (t) => {
  const session = await startSession(t);
  await wideStore(session);
  for (const argv of readingCommands.filter(([name]) => name !== 'log')) {
    t.notRegex(await session.done(...argv), /…/, argv.join(' '));
  }
});

test('colours are for terminals that want them', async (t) => {
  const session = await startSession(t);
  await wideStore(session);
  const painted = async (
    columns: number | undefined,
    env: Record<string, string>,
    ...argv: string[]
  ): Promise<boolean> => {
    const where = columns === undefined ? { env } : { columns, env };
    const { stdout, stderr } = await session.runIn(where, ...argv);
    return `${stdout}${stderr}`.includes(`${ESCAPE}[`);
  };
  for (const argv of [...readingCommands, ['help'], ['inspect', 'nope'], ['bogus']]) {
    t.true(await painted(80, {}, ...argv), argv.join(' '));
    t.false(await painted(undefined, {}, ...argv), 'a pipe');
    t.false(await painted(80, { NO_COLOR: '1' }, ...argv), '$NO_COLOR');
    t.false(await painted(80, { TERM: 'dumb' }, ...argv), 'a dumb terminal');
    t.true(await painted(undefined, { FORCE_COLOR: '1' }, ...argv), '$FORCE_COLOR');
  }
  t.false(await painted(80, {}, '--no-color', 'images'));
  t.false(await painted(80, {}, 'images', '--no-color'));
  t.false(await painted(80, {}, 'inspect', 'nope', '--no-color'));
  t.false(await painted(80, {}, '--no-color', 'help'));
  t.false(await painted(80, {}, 'images', '--json'), 'JSON is never painted');
});

test('control characters from an archive or the log do not reach the terminal', async (t) => {
  const { done, run, store: directory } = await startSession(t);
  const evil = `${ESCAPE}[2J\u202e\u0007\u009b`;
  const store = await openStore(directory, { layers: 'none' });
  const config = {
    architecture: `x${evil}`,
    os: 'linux',
    config: {},
    history: [{ created_by: `RUN ${evil}`, empty_layer: true }],
  };
  const id = await store.create(
    new TextEncoder().encode(JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: [] } })),
  );
  await store.tag({ source: id, target: 'evil:1' }, { actor: `eve${evil}`, reason: `why${evil}` });
  await store.close();
  const shown = [
    await done('images'),
    await done('images', '--json'),
    await done('history', 'evil:1'),
    await done('log'),
    await done('log', '--json'),
    await done('refs', 'evil:1'),
    await done('inspect', 'evil:1'),
    await done('diff', '0'),
    (await run('inspect', evil)).stderr,
    (await run('load', `/nope${evil}`)).stderr,
    (await run(evil)).stderr,
  ];
  for (const text of shown) t.notRegex(text, /(?!\n)[\p{Cc}\u202e]/u);
  t.regex(shown[3] ?? '', /eve\\u001b\[2J/);
  t.is(objectsOf(shown[4] ?? '').at(-1)?.['reason'], `why${evil}`, 'JSON still says what was there');
});

test('the actor is the option, else the environment, else the user at this host', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await done('tag', '--actor', 'after', 'tiny:1', 'a:1');
  await done('--actor', 'before', 'tag', 'tiny:1', 'a:2');
  await runIn({ env: { IMAGELOG_ACTOR: '' } }, 'tag', 'tiny:1', 'a:3');
  const actors = objectsOf(await done('log', '--json', '--from', '4')).map(({ actor }) => String(actor));
  t.deepEqual(actors.slice(0, 2), ['after', 'before']);
  t.regex(actors[2] ?? '', /^.+@.+$/);
});

test('the store is the option, else the environment, else in the data directory of the user', async (t) => {
  t.is(storeDirectory('/a', { IMAGELOG_STORE: '/b', XDG_DATA_HOME: '/c', HOME: '/d' }), '/a');
  t.is(storeDirectory(undefined, { IMAGELOG_STORE: '/b', XDG_DATA_HOME: '/c', HOME: '/d' }), '/b');
  t.is(storeDirectory(undefined, { IMAGELOG_STORE: '', XDG_DATA_HOME: '/c', HOME: '/d' }), '/c/imagelog');
  t.is(storeDirectory(undefined, { XDG_DATA_HOME: 'relative', HOME: '/d' }), '/d/.local/share/imagelog');
  const { done, folder, runIn } = await startSession(t);
  await done('--store', join(folder, 'other'), 'load', '--quiet', archive('skopeo-tiny-1.tar'));
  t.is(
    (await runIn({ env: { IMAGELOG_STORE: join(folder, 'other') } }, 'images', '--quiet')).stdout.slice(7, 11),
    'bd10',
  );
});

test('stats counts, with times that stay in their zone', async (t) => {
  const { done, folder } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  const text = await done('stats');
  t.regex(text, new RegExp(`^directory {3}${folder}/store\n`));
  t.regex(
    text,
    /\ncreated {5}2026-01-31 12:00:00 UTC\nlast event {2}2026-01-31 12:00:00 UTC\nevents {6}27\nimages {6}5, 3 of them without children\nreferences {2}7\nartifacts {3}0\nlayers {6}7 in 5 files of \d+ kB\n$/,
  );
  t.like(objectsOf(await done('stats', '--json'))[0], { events: 27, images: 5, createdAt: '2026-01-31T12:00:00.000Z' });
});

test('what the store noticed is reported once on the standard error, and the command does its work', async (t) => {
  const { done, run, runIn, store } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await mkdir(join(store, 'snapshots'), { recursive: true });
  await writeFile(join(store, 'snapshots', '0000000000000003.views'), 'edited');
  const { code, stdout, stderr } = await run('images', '--quiet');
  t.is(code, 0);
  t.regex(stdout, /^sha256:bd10/);
  t.regex(stderr, /^imagelog: notice: .*0000000000000003\.views.*\n$/);
  // A follower opens the store each time that somebody wrote.
  let tagging: Promise<unknown> | undefined;
  const onOutput = (): void => {
    tagging ??= done('tag', 'tiny:1', 'a:1');
  };
  const following = await runIn({ onOutput }, 'log', '--follow', '--json', '--from', '3', '--limit', '2');
  await tagging;
  t.is(following.stderr.split('imagelog: notice: ').length, 2);
});

test('a broken pipe is quiet, and a full disk is not', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  const broken = (code: string): Error => Object.assign(new Error(`${code}: write`), { code });
  for (const argv of [['images', '--json'], ['log'], ['help'], ['save', 'shop/app']]) {
    for (const after of [0, 1]) {
      const { code, stderr } = await runIn({ breaks: { after, error: broken('EPIPE') } }, ...argv);
      t.deepEqual({ code, stderr }, { code: 0, stderr: '' }, argv.join(' '));
    }
    const full = await runIn({ breaks: { after: 0, error: broken('ENOSPC') } }, ...argv);
    t.deepEqual([full.code, full.stderr], [1, 'imagelog: cannot write the output: ENOSPC: write\n'], argv.join(' '));
  }
});
