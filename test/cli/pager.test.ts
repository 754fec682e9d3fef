import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Interruption } from '../../src/cli/exit-codes.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, objectsOf, type Session, SESSION_START, startSession } from './session.js';

const COLUMNS = 80;
const PATH = process.env['PATH'] ?? '';

interface Paging extends Session {
  /** Where the pager writes what it was given. */
  readonly paged: string;
  readonly page: (env: Readonly<Record<string, string>>, ...argv: string[]) => ReturnType<Session['run']>;
}

async function startPaging(t: ExecutionContext): Promise<Paging> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-all.tar'));
  return {
    ...session,
    paged: join(session.folder, 'paged'),
    page: (env, ...argv) => session.runIn({ columns: COLUMNS, env: { PATH, NO_COLOR: '1', ...env } }, ...argv),
  };
}

for (const argv of [['log'], ['log', '--events'], ['log', '--json'], ['images'], ['tree'], ['refs', 'tiny:1']]) {
  test(`${argv.join(' ')} goes through the pager of a terminal, as it would be shown`, async (t) => {
    const { page, paged } = await startPaging(t);
    const { code, stdout, stderr } = await page({ IMAGELOG_PAGER: `cat > '${paged}'` }, ...argv);
    t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
    const direct = await page({ IMAGELOG_PAGER: '' }, ...argv);
    t.is(await readFile(paged, 'utf8'), direct.stdout);
    t.true(direct.stdout.length > 50);
  });
}

test('no pager with --no-pager, --quiet, --follow, PAGER=cat, an empty one, a dumb terminal, or without a terminal', async (t) => {
  const { page, paged, runIn } = await startPaging(t);
  const pager = { PAGER: `cat > '${paged}'` };
  for (const [env, ...argv] of [
    [pager, 'log', '--no-pager'],
    [pager, '--no-pager', 'log'],
    [pager, 'log', '--quiet'],
    [pager, 'log', '--follow', '--limit', '1'],
    [pager, 'stats'],
    [{ ...pager, TERM: 'dumb' }, 'log'],
    [{ PAGER: 'cat' }, 'log'],
    [{ PAGER: '' }, 'log'],
    [{ ...pager, IMAGELOG_PAGER: '' }, 'log'],
    [{ ...pager, IMAGELOG_PAGER: ' cat ' }, 'log'],
    [{ PATH: '/nonexistent' }, 'log'],
  ] as const) {
    const { code, stdout } = await page(env, ...argv);
    t.is(code, 0);
    t.not(stdout, '', argv.join(' '));
  }
  t.not((await runIn({ env: { PATH, ...pager } }, 'log')).stdout, '');
  t.false(existsSync(paged));
});

test('IMAGELOG_PAGER is taken before PAGER, and less without either, with options to quit if all fits', async (t) => {
  const { page, paged, folder } = await startPaging(t);
  await page({ IMAGELOG_PAGER: `sed s/^/own/ > '${paged}'`, PAGER: `cat > '${paged}'` }, 'log');
  t.regex(await readFile(paged, 'utf8'), /^ownSEQ/);
  const tools = join(folder, 'tools');
  await mkdir(tools);
  await writeFile(join(tools, 'less'), `#!/bin/sh\n{ echo "$LESS"; cat; } > '${paged}'\n`);
  await chmod(join(tools, 'less'), 0o755);
  await page({ PATH: `${tools}:${PATH}` }, 'log');
  t.regex(await readFile(paged, 'utf8'), /^FRX\nSEQ/);
  await page({ PATH: `${tools}:${PATH}`, LESS: '-i' }, 'log');
  t.regex(await readFile(paged, 'utf8'), /^-i\nSEQ/);
});

test('env shows the pager of a terminal, or none', async (t) => {
  const { runIn } = await startSession(t);
  for (const [env, pager] of [
    [{ IMAGELOG_PAGER: 'own', PAGER: 'more' }, 'own'],
    [{ PAGER: 'more' }, 'more'],
    [{ IMAGELOG_PAGER: '', PAGER: 'more' }, null],
    [{ PAGER: 'cat' }, null],
    [{ PATH: '/nonexistent' }, null],
  ] as const) {
    const { stdout } = await runIn({ env }, 'env', '--json');
    t.is(objectsOf(stdout).find(({ name }) => name === 'pager')?.['value'], pager);
  }
});

test('a pager that is quit early ends a long answer quietly, before all of it was read', async (t) => {
  const { page, paged, store: directory } = await startPaging(t);
  const store = await openStore(directory, { now: () => SESSION_START });
  const value = new TextEncoder().encode('why '.repeat(200));
  const image = store.resolve('tiny:1');
  await Promise.all(Array.from({ length: 500 }, (_, at) => store.setMetadata(image, `key-${at}`, value)));
  await store.close();
  const { code, stdout, stderr } = await page({ PAGER: `head -n 1 > '${paged}'` }, 'log');
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
  t.is(await readFile(paged, 'utf8'), 'SEQ  TIME (UTC)           WHAT\n');
});

test('a slow pager gets all of a long answer', async (t) => {
  const { page, paged, store: directory } = await startPaging(t);
  const store = await openStore(directory, { now: () => SESSION_START });
  const image = store.resolve('tiny:1');
  const value = new TextEncoder().encode('why '.repeat(200));
  await Promise.all(Array.from({ length: 300 }, (_, at) => store.setMetadata(image, `key-${at}`, value)));
  await store.close();
  await page({ PAGER: `dd bs=512 of='${paged}' 2>/dev/null` }, 'log');
  t.is(await readFile(paged, 'utf8'), (await page({ PAGER: '' }, 'log')).stdout);
});

test('a pager that cannot be run fails the command in a line, and one is not run for an error', async (t) => {
  const { page, paged } = await startPaging(t);
  const missing = await page({ PAGER: '/nonexistent/pager 2>/dev/null' }, 'log');
  t.is(missing.code, 1);
  t.is(
    missing.stderr,
    'imagelog: cannot write the output: no pager /nonexistent/pager 2>/dev/null; --no-pager does without\n',
  );
  const { code, stderr } = await page({ PAGER: `cat > '${paged}'` }, 'log', '--actor', 'nobody');
  t.is(code, 3);
  t.regex(stderr, /SUBJECT_NOT_FOUND/);
  t.false(existsSync(paged));
});

test('the exit code of the pager is its own affair', async (t) => {
  const { page } = await startPaging(t);
  t.like(await page({ PAGER: 'cat >/dev/null; exit 3' }, 'log'), { code: 0, stderr: '' });
});

test('Ctrl-C is left to the pager while it runs, and not before or after', async (t) => {
  const { runIn } = await startPaging(t);
  const told: boolean[] = [];
  const ignoreInterrupts = (areIgnored: boolean): void => {
    told.push(areIgnored);
  };
  const env = { PATH, PAGER: 'cat >/dev/null' };
  await runIn({ columns: COLUMNS, env, ignoreInterrupts }, 'log');
  t.deepEqual(told, [true, false]);
  await runIn({ columns: COLUMNS, env, ignoreInterrupts }, 'log', '--no-pager');
  await runIn({ columns: COLUMNS, env, ignoreInterrupts }, 'log', '--actor', 'nobody');
  t.deepEqual(told, [true, false]);
});

test('an interruption of another kind still ends the command once the pager has ended', async (t) => {
  const { runIn } = await startPaging(t);
  const controller = new AbortController();
  const ignoreInterrupts = (): void => controller.abort(new Interruption('SIGTERM'));
  const env = { PATH, NO_COLOR: '1', PAGER: 'cat >/dev/null' };
  const { code, stderr } = await runIn({ columns: COLUMNS, env, ignoreInterrupts, signal: controller.signal }, 'log');
  t.deepEqual({ code, stderr }, { code: 143, stderr: 'imagelog: interrupted by SIGTERM\n' });
});
