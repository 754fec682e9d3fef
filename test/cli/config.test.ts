import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_SETTINGS_FILE_BYTES } from '../../src/limits.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

/** A session whose configuration file has these lines. */
async function configured(t: ExecutionContext, ...lines: string[]): Promise<Session & { readonly path: string }> {
  const session = await startSession(t);
  const path = join(session.folder, '.config', 'imagelog', 'config');
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return { ...session, path };
}

/** The settings that `imagelog env` lists, by name. */
async function settingsOf(
  { runIn }: Session,
  env: Record<string, string>,
  ...argv: string[]
): Promise<Map<unknown, Record<string, unknown>>> {
  const { stdout } = await runIn({ env }, ...argv, 'env', '--json');
  return new Map(objectsOf(stdout).map((row) => [row['name'], row]));
}

test('an option goes before a variable, a variable before the file, and the file before the default', async (t) => {
  const session = await configured(t, '# mine', '', 'store = ~/images', 'actor=ann', '\twait  =  5m ', 'utc = yes');
  const { folder, path, store } = session;
  const unset = { IMAGELOG_STORE: '', IMAGELOG_ACTOR: '' };
  const inFile = await settingsOf(session, unset);
  const shown = (rows: typeof inFile): unknown[] =>
    ['store', 'actor', 'wait', 'utc', 'color'].map((name) => [rows.get(name)?.['value'], rows.get(name)?.['source']]);
  t.deepEqual(shown(inFile), [
    [join(folder, 'images'), `${path}:3`],
    ['ann', `${path}:4`],
    ['300s', `${path}:5`],
    ['yes', `${path}:6`],
    ['auto', null],
  ]);
  t.deepEqual(shown(await settingsOf(session, { IMAGELOG_WAIT: '2s', NO_COLOR: '1' })), [
    [store, '$IMAGELOG_STORE'],
    ['tester', '$IMAGELOG_ACTOR'],
    ['2s', '$IMAGELOG_WAIT'],
    ['yes', `${path}:6`],
    ['never', '$NO_COLOR'],
  ]);
  t.deepEqual(
    shown(await settingsOf(session, unset, '--store', '/x', '--actor', 'bob', '--wait', '1s', '--no-color')),
    [
      ['/x', '--store'],
      ['bob', '--actor'],
      ['1s', '--wait'],
      ['yes', `${path}:6`],
      ['never', '--no-color'],
    ],
  );
});

test('what the file sets is used', async (t) => {
  const session = await configured(t, 'store = ~/images', 'actor = ann', 'color = always');
  const env = { IMAGELOG_STORE: '', IMAGELOG_ACTOR: '' };
  t.is((await session.runIn({ env }, 'load', '--quiet', archive('skopeo-tiny-1.tar'))).code, 0);
  const { stdout } = await session.runIn({ env }, '--store', join(session.folder, 'images'), 'log', '--json');
  t.true(objectsOf(stdout).every(({ actor }) => actor === 'ann'));
  t.true((await session.runIn({ env }, 'images')).stdout.includes('\u001b['), 'color = always');
  t.false((await session.runIn({ env: { ...env, NO_COLOR: '1' } }, 'images')).stdout.includes('\u001b['));
});

test('the file is in $XDG_CONFIG_HOME where that is set', async (t) => {
  const session = await startSession(t);
  await mkdir(join(session.folder, 'xdg', 'imagelog'), { recursive: true });
  await writeFile(join(session.folder, 'xdg', 'imagelog', 'config'), 'wait = 7s\n');
  const rows = await settingsOf(session, { XDG_CONFIG_HOME: join(session.folder, 'xdg') });
  t.is(rows.get('wait')?.['value'], '7s');
  const [file] = [rows.get('config file')];
  t.deepEqual(
    [file?.['value'], file?.['source']],
    [join(session.folder, 'xdg', 'imagelog', 'config'), '$XDG_CONFIG_HOME'],
  );
  // The specification has relative paths ignored.
  t.is((await settingsOf(session, { XDG_CONFIG_HOME: 'xdg' })).get('wait')?.['value'], '30s');
});

const refused = test.macro({
  title: (_, line: string) => `the line ${JSON.stringify(line)} of a configuration file is refused by number`,
  exec: async (t: ExecutionContext, line: string, why: string) => {
    const { run, path } = await configured(t, '# first', line);
    const { code, stdout, stderr } = await run('images');
    t.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    const hint = 'hint: each line is KEY = VALUE; a line that begins with # is a comment';
    t.is(stderr, `imagelog: ${path}:2: ${why}\n${hint}\n`);
  },
});

test(
  refused,
  'colour = auto',
  'no such key: "colour"; the keys are store, actor, wait, color, pager, utc, and those of serve',
);
test(refused, 'store', 'expected KEY = VALUE, got "store"');
test(refused, '= x', 'expected KEY = VALUE, got "= x"');
test(refused, 'store = images', 'store is "images", expected an absolute path, or one from ~/');
test(refused, 'wait = soon', 'wait is "soon", expected a time like 30s or 2m, or 0');
test(refused, 'color = blue', 'color is "blue", expected auto, always or never');
test(refused, 'utc = maybe', 'utc is "maybe", expected yes or no');
test(refused, 'actor =', 'actor is "", expected a value');
test(refused, 'actor = a\u001b[2J', 'a control character');

test('a key that is set twice, a directory in place of the file, and one too large are refused', async (t) => {
  const twice = await configured(t, 'utc = yes', 'utc = no');
  t.regex((await twice.run('images')).stderr, /config:2: utc is set twice, first in line 1\n/);
  const large = await configured(t, `# ${'x'.repeat(MAX_SETTINGS_FILE_BYTES)}`);
  t.regex((await large.run('images')).stderr, /^imagelog: the configuration \S+config has more than 65536 bytes\n/);
  const session = await startSession(t);
  await mkdir(join(session.folder, '.config', 'imagelog', 'config'), { recursive: true });
  t.regex(
    (await session.run('images')).stderr,
    /^imagelog: cannot read the configuration \S+: it is a directory\nhint: let this user read it, or /,
  );
});

test('utc shows every time in UTC', async (t) => {
  const session = await configured(t, 'utc = yes');
  t.is((await settingsOf(session, {})).get('time zone')?.['value'], 'UTC');
  t.is((await session.runIn({ env: { IMAGELOG_UTC: 'maybe' } }, 'images')).code, 2);
});

test('imagelog env is a table that fits the terminal', async (t) => {
  const { runIn, store } = await startSession(t);
  const { stdout } = await runIn({ columns: 140, env: { NO_COLOR: '1' } }, 'env');
  t.regex(stdout, /^SETTING +VALUE +FROM +SET BY\n/);
  t.regex(stdout, new RegExp(`^store +${store} +\\$IMAGELOG_STORE +--store, \\$IMAGELOG_STORE, `, 'm'));
  const quiet = (await runIn({}, 'env', '--quiet')).stdout;
  t.regex(quiet, new RegExp(`^store=${store}\nhost=\nactor=tester\nkey=\nwait=30s\n`));
  for (const columns of [60, 80]) {
    const narrow = (await runIn({ columns, env: { NO_COLOR: '1' } }, 'env')).stdout;
    t.true(
      narrow.split('\n').every((line) => line.length <= columns),
      narrow,
    );
  }
});

test('help, versions and completion work beside a configuration that cannot be read; the rest says where', async (t) => {
  const session = await startSession(t);
  const folder = join(session.folder, '.config', 'imagelog');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config'), 'utc = maybe\n');
  for (const argv of [
    ['--version'],
    ['version'],
    ['help'],
    ['help', 'log'],
    ['log', '--help'],
    ['completion', 'bash'],
  ]) {
    t.like(await session.run(...argv), { code: 0, stderr: '' }, argv.join(' '));
  }
  for (const argv of [['env'], ['images'], ['consumers']]) {
    const { code, stdout, stderr } = await session.run(...argv);
    t.deepEqual({ code, stdout }, { code: 2, stdout: '' }, argv.join(' '));
    t.regex(stderr, /config:1: utc is "maybe", expected yes or no\nhint: /);
  }
});
