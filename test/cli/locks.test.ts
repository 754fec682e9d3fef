import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { parseWait } from '../../src/cli/settings.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { archive, type Session, startSession } from './session.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const holder = fileURLToPath(new URL('../support/hold-store.js', import.meta.url));

/** A process that has the store open until it is killed. */
async function holdElsewhere(t: ExecutionContext, directory: string): Promise<ChildProcess> {
  const child = fork(holder, [directory]);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

/** A session whose store has an image. */
async function startLoaded(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  return session;
}

/** Runs a command line as its own process, and resolves with how it ended. */
async function runElsewhere(
  t: ExecutionContext,
  directory: string,
  ...argv: string[]
): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const child = spawn(process.execPath, [main, '--store', directory, ...argv], {
    env: { PATH: process.env['PATH'] ?? '', HOME: dirname(directory) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [stderr, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')]);
  return { code: code as unknown, stderr };
}

const SIX = Array.from({ length: 6 }, (_, at) => `a:${at}`);
const ALL_DONE = SIX.map(() => ({ code: 0, stderr: '' }));

test('six processes that tag at once all succeed, and all six are in the log', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  await store.load(archive('skopeo-tiny-1.tar'));
  await store.close();
  const ended = SIX.map((name) => runElsewhere(t, directory, 'tag', '--actor', name, 'tiny:1', name));
  t.deepEqual(await Promise.all(ended), ALL_DONE);
  await using reader = await openStore(directory, { readOnly: true });
  const actors: string[] = [];
  for await (const { type, actor } of reader.log.read()) if (type === 'ReferenceSet') actors.push(actor);
  t.deepEqual(actors.filter((actor) => actor.startsWith('a:')).sort(), SIX, 'one event each, by its own actor');
  t.deepEqual(await reader.verify(), []);
});

test('six processes that load into a store that none has made yet all succeed', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const tar = archive('skopeo-tiny-1.tar');
  const ended = SIX.map((name) => runElsewhere(t, directory, 'load', '--tag', name, tar));
  t.deepEqual(await Promise.all(ended), ALL_DONE);
  await using reader = await openStore(directory, { readOnly: true });
  t.is(reader.len(), 1);
  t.is(reader.referenceEntries().length, 1 + SIX.length);
  t.deepEqual(await reader.verify(), []);
});

test('a holder that does not end: exit code 5 after --wait, with its pid', async (t) => {
  const { runIn, store } = await startLoaded(t);
  const { pid } = await holdElsewhere(t, store);
  for (const argv of [['tag', 'tiny:1', 'a:1'], ['rm', 'tiny:1'], ['rebuild'], ['verify'], ['prune', '--yes']]) {
    const { code, stdout, stderr } = await runIn({}, '--wait', '50ms', ...argv);
    t.deepEqual({ code, stdout }, { code: 5, stdout: '' }, argv[0]);
    t.regex(
      stderr,
      new RegExp(`it is open in process ${pid} \\(STORE_LOCKED\\)\nhint: .*--wait 5m.*, or end it\\. `),
      argv[0],
    );
  }
  t.is((await runIn({}, 'images', '--wait', '0')).code, 0, 'a reader does not wait');
});

test('a wait of more than a second is told on a terminal, once', async (t) => {
  const { runIn, store } = await startLoaded(t);
  const holder = await holdElsewhere(t, store);
  const onError = (): void => void holder.kill('SIGKILL');
  const terminal = { columns: 80, env: { NO_COLOR: '1' }, onError };
  const { code, stderr } = await runIn(terminal, '--wait', '60s', 'tag', 'tiny:1', 'a:1');
  t.is(code, 0);
  t.is(stderr, `waiting for process ${holder.pid}, which has ${store} open …\n`);
});

test('a waiting command continues when its holder is killed', async (t) => {
  const { runIn, done, store } = await startLoaded(t);
  const child = await holdElsewhere(t, store);
  const waiting = runIn({}, '--wait', '60s', 'tag', 'tiny:1', 'a:1');
  child.kill('SIGKILL');
  t.is((await waiting).code, 0);
  t.regex(await done('resolve', 'a:1'), /^sha256:/);
});

test('Ctrl-C ends a wait', async (t) => {
  const { runIn, store } = await startLoaded(t);
  await holdElsewhere(t, store);
  const controller = new AbortController();
  const waiting = runIn({ signal: controller.signal }, '--wait', '60s', 'tag', 'tiny:1', 'a:1');
  controller.abort(new Error('interrupted'));
  const { code, stderr } = await waiting;
  t.is(code, 1);
  t.regex(stderr, /interrupted/);
});

test('a backup waits for another that writes to the same directory', async (t) => {
  const { run, done, folder } = await startLoaded(t);
  const target = join(folder, 'backup');
  const codes = await Promise.all([1, 2, 3].map(async () => (await run('backup', target)).code));
  t.deepEqual(codes, [0, 0, 0]);
  t.regex(await done('verify', target), /all is well/);
});

test('--wait takes seconds, units and 0, and nothing else', async (t) => {
  t.deepEqual(['30', '30s', '2m', '1h', '500ms', '0', '-1', '1.5s', '', 's', '1d', '9999999999'].map(parseWait), [
    30_000,
    30_000,
    120_000,
    3_600_000,
    500,
    0,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const { run, runIn } = await startSession(t);
  const { code, stderr } = await run('images', '--wait', 'soon');
  t.is(code, 2);
  t.regex(stderr, /option '--wait <duration>' argument 'soon' is invalid\. It must be a time like 30s/);
  const byVariable = await runIn({ env: { IMAGELOG_WAIT: 'soon' } }, 'images');
  t.is(byVariable.code, 2);
  t.regex(byVariable.stderr, /\$IMAGELOG_WAIT is "soon", expected a time like 30s/);
});
