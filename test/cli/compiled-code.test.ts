import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeFolder, KeptScripts, readCode, writeCode } from '../../src/cli/kept-scripts.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const user = process.geteuid?.() ?? 0;
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test('the folder is made in the cache folder of the user, for the user alone', async (t) => {
  const home = await temporaryDirectory(t);
  const folder = codeFolder({ HOME: home }, user);
  t.is(folder, join(home, '.cache', 'imagelog-code'));
  t.is(await modeOf(folder as string), 0o700);
  t.is(codeFolder({ HOME: '/nowhere', XDG_CACHE_HOME: join(home, '.cache') }, user), folder);
});

for (const [title, env] of [
  ['it is turned off', { NODE_DISABLE_COMPILE_CACHE: '1' }],
  ['there is no home', { HOME: '' }],
  ['the cache folder is not an absolute path', { XDG_CACHE_HOME: 'cache' }],
] as const) {
  test(`there is no folder when ${title}`, async (t) => {
    const home = await temporaryDirectory(t);
    t.is(codeFolder({ HOME: home, ...env }, user), undefined);
    t.deepEqual(await readdir(home), []);
  });
}

test('there is no folder where none can be made, and where the system has no users', async (t) => {
  const home = await temporaryDirectory(t);
  await writeFile(join(home, '.cache'), '');
  t.is(codeFolder({ HOME: home }, user), undefined);
  t.is(codeFolder({ HOME: join(home, 'other') }, undefined), undefined);
});

test('a folder that others can change is not used: as its owner, by its mode, or from above', async (t) => {
  const home = await temporaryDirectory(t);
  const [env, cache] = [{ HOME: home }, join(home, '.cache')];
  const folder = codeFolder(env, user) as string;
  t.is(codeFolder(env, user + 1), undefined);
  for (const mode of [0o770, 0o707]) {
    await chmod(folder, mode);
    t.is(codeFolder(env, user), undefined);
  }
  await chmod(folder, 0o755);
  t.is(codeFolder(env, user), folder);
  await chmod(cache, 0o777);
  t.is(codeFolder(env, user), undefined);
  // As /tmp: what the user has there is left alone by others.
  await chmod(cache, 0o1777);
  t.is(codeFolder(env, user), folder);
  await rm(folder, { recursive: true });
  await mkdir(join(home, 'elsewhere'));
  await chmod(join(home, 'elsewhere'), 0o777);
  await symlink(join(home, 'elsewhere'), folder);
  t.is(codeFolder(env, user), undefined);
});

/** A folder for code that has one file, `name`. */
async function withCode(t: ExecutionContext): Promise<{ folder: string; path: string }> {
  const folder = await temporaryDirectory(t);
  writeCode(folder, 'name', { commands: ['images', 'log'], code: Buffer.from('compiled') });
  return { folder, path: join(folder, 'name.code') };
}

test('what is written is read again, by its name and by its owner', async (t) => {
  const { folder, path } = await withCode(t);
  t.deepEqual(readCode(folder, 'name', user), { commands: ['images', 'log'], code: Buffer.from('compiled') });
  t.is(await modeOf(path), 0o600);
  t.is(readCode(folder, 'other', user), undefined);
  t.is(readCode(folder, 'name', user + 1), undefined);
  await chmod(path, 0o666);
  t.is(readCode(folder, 'name', user), undefined);
});

test('a file that is torn or changed anywhere is not read', async (t) => {
  const { folder, path } = await withCode(t);
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    await writeFile(path, whole.subarray(0, at));
    t.is(readCode(folder, 'name', user), undefined);
    const changed = Buffer.from(whole);
    changed[at] = (whole[at] as number) ^ 1;
    await writeFile(path, changed);
    t.is(readCode(folder, 'name', user), undefined);
  }
});

test('a link is not followed, and is replaced', async (t) => {
  const { folder, path } = await withCode(t);
  const elsewhere = join(folder, 'elsewhere');
  await writeFile(elsewhere, await readFile(path));
  await rm(path);
  await symlink(elsewhere, path);
  t.is(readCode(folder, 'name', user), undefined);
  writeCode(folder, 'name', { commands: ['tag'], code: Buffer.from('new') });
  t.deepEqual(readCode(folder, 'name', user)?.commands, ['tag']);
});

test('code of old versions is removed, and that which cannot be written leaves nothing', async (t) => {
  const folder = await temporaryDirectory(t);
  for (let at = 0; at < 20; at++) writeCode(folder, `version-${at}`, { commands: [], code: Buffer.from('code') });
  t.is((await readdir(folder)).length, 16);
  await mkdir(join(folder, 'taken.code', 'full'), { recursive: true });
  writeCode(folder, 'taken', { commands: [], code: Buffer.from('code') });
  writeCode(join(folder, 'missing'), 'name', { commands: [], code: Buffer.from('code') });
  t.deepEqual(
    (await readdir(folder)).filter((name) => /\.code./.test(name)),
    [],
  );
});

/** A folder with two scripts, as bundles are; the first adds one to what the second exports. */
async function withScripts(t: ExecutionContext): Promise<{ directory: string; home: string; load: () => KeptScripts }> {
  const [directory, home] = [await temporaryDirectory(t), await temporaryDirectory(t)];
  const wrap = (code: string): string => `(function(exports,require,module,__filename,__dirname){${code}})`;
  await writeFile(
    join(directory, 'first.cjs'),
    wrap('exports.answer=()=>require("./second.cjs").number+1;exports.join=require("node:path").join'),
  );
  await writeFile(join(directory, 'second.cjs'), wrap('exports.number=41'));
  return { directory, home, load: () => new KeptScripts(directory, { HOME: home }, user) };
}

interface First {
  readonly answer: () => number;
  readonly join: unknown;
}

/** The commands of each file of code. */
async function keptIn(home: string): Promise<Record<string, readonly string[]>> {
  const folder = join(home, '.cache', 'imagelog-code');
  const names = await readdir(folder).catch((): string[] => []);
  return Object.fromEntries(
    names.map((name) => [
      /^[a-z]+/.exec(name)?.[0],
      readCode(folder, name.replace(/\.code$/, ''), user)?.commands ?? [],
    ]),
  );
}

test('scripts load each other, and their code is kept for each new command', async (t) => {
  const { home, load } = await withScripts(t);
  for (const command of ['images', 'images', 'log']) {
    const scripts = load();
    const first = scripts.load('first.cjs') as First;
    t.is(first.answer(), 42);
    t.is(scripts.load('first.cjs'), first);
    t.is(first.join, join);
    scripts.keep(command);
  }
  t.deepEqual(await keptIn(home), { first: ['images', 'log'], second: ['images', 'log'] });
});

test('a script that was edited runs as it is now, also at the same length', async (t) => {
  const { directory, load } = await withScripts(t);
  const scripts = load();
  (scripts.load('first.cjs') as First).answer();
  scripts.keep('images');
  const second = join(directory, 'second.cjs');
  await writeFile(second, (await readFile(second, 'utf8')).replace('41', '77'));
  t.is((load().load('first.cjs') as First).answer(), 78);
});

test('without a folder scripts run, and nothing is kept', async (t) => {
  const { directory, home } = await withScripts(t);
  const scripts = new KeptScripts(directory, { HOME: home, NODE_DISABLE_COMPILE_CACHE: '1' }, user);
  t.is((scripts.load('first.cjs') as First).answer(), 42);
  scripts.keep('images');
  t.deepEqual(await keptIn(home), {});
});

test('a name that is a pipe is not waited for, and one folder for data and caches keeps both', async (t) => {
  const { folder, path } = await withCode(t);
  await rm(path);
  execFileSync('mkfifo', ['-m', '600', path]);
  t.is(readCode(folder, 'name', user), undefined);
  const home = await temporaryDirectory(t);
  t.not(codeFolder({ XDG_CACHE_HOME: home }, user), join(home, 'imagelog'));
});
