import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { archive, objectsOf } from './session.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Starts the command line as its own process over the store in `folder`. */
function start(t: ExecutionContext, folder: string, ...argv: string[]): ChildProcessWithoutNullStreams {
  const env = { ...process.env, IMAGELOG_STORE: join(folder, 'store'), IMAGELOG_ACTOR: 'tester', NO_COLOR: '1' };
  const child = spawn(process.execPath, [main, ...argv], { env });
  t.teardown(() => child.kill('SIGKILL'));
  // A child that ended does not read what is still given to it.
  child.stdin.on('error', () => undefined);
  return child;
}

async function ended(
  child: ChildProcessWithoutNullStreams,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number | null, stdout, stderr };
}

test('the exit code of the process is that of the run', async (t) => {
  const folder = await temporaryDirectory(t);
  const results = await Promise.all(
    [['--version'], ['bogus'], ['images']].map(async (argv) => ended(start(t, folder, ...argv))),
  );
  t.deepEqual(
    results.map(({ code }) => code),
    [0, 2, 3],
  );
});

for (const argv of [[], ['--json'], ['--events'], ['--oneline'], ['--format', 'csv'], ['--reverse']]) {
  test(`log ${argv.join(' ')} without a reader is quiet`, async (t) => {
    const folder = await temporaryDirectory(t);
    const store = await openStore(join(folder, 'store'));
    await store.load(archive('docker25-all.tar'));
    await store.close();
    const child = start(t, folder, 'log', ...argv);
    child.stdout.destroy();
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    t.deepEqual({ code: code as unknown, stderr }, { code: 0, stderr: '' });
  });
}

test('log | head -1 ends quietly in the middle of a long log', async (t) => {
  const folder = await temporaryDirectory(t);
  const store = await openStore(join(folder, 'store'));
  await store.load(archive('skopeo-tiny-1.tar'));
  const image = store.resolve('tiny:1');
  // More than a pipe and the buffers of both ends hold.
  const value = new TextEncoder().encode('why '.repeat(250));
  await Promise.all(Array.from({ length: 2_000 }, (_, at) => store.setMetadata(image, `key-${at}`, value)));
  await store.close();
  const child = start(t, folder, 'log');
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  t.regex(first.toString(), /^ SEQ {2}TIME/);
  child.stdout.destroy();
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  t.deepEqual({ code: code as unknown, stderr }, { code: 0, stderr: '' });
});

test('log --follow shows a transaction of another process once it is complete', async (t) => {
  const folder = await temporaryDirectory(t);
  const store = await openStore(join(folder, 'store'));
  await store.load(archive('skopeo-tiny-1.tar'));
  await store.close();
  const child = start(t, folder, 'log', '--follow', '--from', '2', '--quiet');
  const result = ended(child);
  await once(child.stdout, 'data');
  const next = once(child.stdout, 'data');
  t.is((await ended(start(t, folder, 'load', '--quiet', archive('docker25-all.tar')))).code, 0);
  await next;
  child.kill('SIGINT');
  const { code, stdout } = await result;
  t.is(code, 130);
  const lines = stdout.trimEnd().split('\n');
  t.is(lines.length, 2, stdout);
  t.regex(lines[0] ?? '', /^ {2}3 .* load 1 image, 1 layer, 1 tag: tiny:1 → bd10de19d2be$/);
  t.regex(lines[1] ?? '', / tester +load \d images, \d+ layers, .*, and \d more$/);
});

test('what save writes to one process, load reads in another', async (t) => {
  const [from, to] = [await temporaryDirectory(t), await temporaryDirectory(t)];
  const store = await openStore(join(from, 'store'));
  await store.load(archive('docker25-all.tar'));
  await store.close();
  const [saving, loading] = [start(t, from, 'save', 'shop/app'), start(t, to, 'load', '--json')];
  saving.stdout.pipe(loading.stdin);
  const [[saved], loaded] = await Promise.all([once(saving, 'close'), ended(loading)]);
  t.is(saved, 0);
  t.is(loaded.code, 0, loaded.stderr);
  t.is((await ended(start(t, to, 'images', '--quiet'))).stdout.split('\n').length, 3);
});

test('Ctrl-C during a load from a slow pipe ends with 130 and leaves an empty store, and others hear who has it', async (t) => {
  const folder = await temporaryDirectory(t);
  const child = start(t, folder, 'load');
  const bytes = await readFile(archive('docker25-all.tar'));
  const drained = new Promise<void>((resolve) => {
    child.stdin.write(bytes.subarray(0, 300_000), () => resolve());
  });
  // The pipe holds less than was written: the child has opened its store and reads.
  await drained;
  t.true(existsSync(join(folder, 'store', 'imagelog.json')));
  const read = await ended(start(t, folder, 'images', '--quiet'));
  t.deepEqual(read, { code: 0, stdout: '', stderr: '' });
  const locked = await ended(start(t, folder, 'untag', '--wait', '0', 'shop/app:1'));
  t.is(locked.code, 5);
  t.regex(locked.stderr, new RegExp(`it is open in process ${child.pid} \\(STORE_LOCKED\\)\nhint: `));
  child.kill('SIGINT');
  t.deepEqual(await ended(child), { code: 130, stdout: '', stderr: 'imagelog: interrupted by SIGINT\n' });
  const store = await openStore(join(folder, 'store'), { create: false });
  t.like(store.stats(), { events: 0, images: 0, blobs: 0 });
  await store.close();
});

test('log --follow shows what another process writes, and Ctrl-C ends it', async (t) => {
  const folder = await temporaryDirectory(t);
  const store = await openStore(join(folder, 'store'));
  await store.load(archive('skopeo-tiny-1.tar'));
  await store.close();
  const child = start(t, folder, 'log', '--follow', '--json', '--from', '3');
  const result = ended(child);
  await once(child.stdout, 'data');
  // Listened for before it can come: the follower may be quicker than the end of the writer.
  const next = once(child.stdout, 'data');
  t.is((await ended(start(t, folder, 'tag', 'tiny:1', 'a:1'))).code, 0);
  await next;
  child.kill('SIGINT');
  const { code, stdout } = await result;
  t.is(code, 130);
  t.deepEqual(
    objectsOf(stdout).map(({ seq, type }) => [seq, type]),
    [
      [3, 'ReferenceSet'],
      [4, 'ReferenceSet'],
    ],
  );
});

const noFullDevice = existsSync('/dev/full') ? undefined : 'the system has no /dev/full';

testOrSkip(noFullDevice)('a full output is reported in a line, even if the command has files open', async (t) => {
  const folder = await temporaryDirectory(t);
  const store = await openStore(join(folder, 'store'));
  await store.load(archive('skopeo-tiny-1.tar'));
  await store.close();
  for (const argv of [['checkpoint'], ['prove', '1'], ['prune', '--json'], ['stats', '--json']]) {
    const full = await open('/dev/full', 'w');
    const env = { ...process.env, IMAGELOG_STORE: join(folder, 'store') };
    const child = spawn(process.execPath, [main, ...argv], { env, stdio: ['ignore', full.fd, 'pipe'] });
    const [said, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')]);
    await full.close();
    t.is(code, 1);
    t.regex(said, /^imagelog: cannot write the output: .*\n(?:hint: .*\n)?$/, argv[0]);
  }
});

testOrSkip(noFullDevice)('a failure that cannot be printed keeps its exit code', async (t) => {
  const folder = await temporaryDirectory(t);
  const store = await openStore(join(folder, 'store'));
  await store.close();
  const full = await open('/dev/full', 'w');
  const env = { ...process.env, IMAGELOG_STORE: join(folder, 'store') };
  const child = spawn(process.execPath, [main, 'inspect', 'nothing'], { env, stdio: ['ignore', 'ignore', full.fd] });
  const [code] = await once(child, 'close');
  await full.close();
  t.is(code, 3);
});
