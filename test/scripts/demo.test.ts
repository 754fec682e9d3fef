import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { shortId } from '../../src/model/texts.js';
import { openStore } from '../../src/index.js';
import type { ImageId } from '../../src/model/digest.js';
import { expectedArchives } from '../store/fixture-archives.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const DEMO = fileURLToPath(new URL('../../scripts/demo.js', import.meta.url));

/** What a run of the demo left: its exit code, what it wrote, and what stands in its folder for temporary files. */
interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly leftovers: readonly string[];
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** JavaScript that runs in the child before the demo. */
  readonly before?: string;
  readonly closesStdout?: boolean;
  readonly args?: readonly string[];
}

/** Runs the demo as its own process; neither the colours nor the temporary folder of the tests reach it. */
async function runDemo(
  t: ExecutionContext,
  { env = {}, before = '', closesStdout = false, args = [] }: RunOptions = {},
): Promise<Run> {
  const temporary = await temporaryDirectory(t);
  const preload = `data:text/javascript,${encodeURIComponent(before)}`;
  const child = spawn(process.execPath, ['--import', preload, DEMO, ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: temporary, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close') as Promise<[number | null]>;
  if (closesStdout) child.stdout.destroy();
  const stdout = closesStdout ? '' : await text(child.stdout);
  const stderr = await text(child.stderr);
  const [code] = await exited;
  return { code, stdout, stderr, leftovers: await readdir(temporary) };
}

/** The text of each act by its number, its heading first. */
function actsOf(stdout: string): string[] {
  return stdout.split(/^(?=\d+ {2}\S)/m).slice(1);
}

/** The short id that the archive of the demo has under a reference. */
function archivedId(reference: string): string {
  const image = expectedArchives['docker25-all.tar']?.find(({ references }) => references.includes(reference));
  if (image === undefined) throw new Error(`no ${reference} in the archive of the demo`);
  return shortId(image.id as ImageId);
}

// One demo after another: ten at once would be slower on two cores, and hold more memory.
test.serial('the demo plays its acts in order, in plain text of 80 columns, and leaves nothing behind', async (t) => {
  const { code, stdout, stderr, leftovers } = await runDemo(t);
  t.is(stderr, '');
  t.is(code, 0);
  t.deepEqual(leftovers, []);
  t.is(stripVTControlCharacters(stdout), stdout);
  t.deepEqual(
    stdout.split('\n').filter((line) => displayWidth(line) > 80),
    [],
  );
  const acts = actsOf(stdout);
  t.deepEqual(
    acts.map((act) => /^(?:[$>] )((?:store\.|imagelog )\w+)/m.exec(act)?.[1]),
    [
      'store.load',
      'store.tag',
      'store.tag',
      'store.setParent',
      'store.delete',
      'imagelog images',
      'imagelog images',
      'imagelog log',
      'imagelog refs',
      'imagelog resolve',
      'imagelog diff',
    ],
  );
  t.deepEqual(
    acts.map((act) => Number.parseInt(act, 10)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
});

test.serial('the demo shows what the tag was and is, who moved it and why', async (t) => {
  const { stdout } = await runDemo(t);
  const [before, after] = [archivedId('docker.io/shop/app:1.0'), archivedId('docker.io/shop/app:2.0')];
  const [, , moved = '', , , , , , timeline = ''] = actsOf(stdout);
  t.regex(moved, new RegExp(`^  shop/app:prod is ${after}, was ${before}$`, 'm'));
  t.regex(
    timeline,
    new RegExp(`^shop/app:prod → ${after}, for .*\\nsince .*, by ci@build-7: “release 2\\.0” \\(INC-77\\)$`, 'm'),
  );
  t.regex(
    timeline,
    new RegExp(`^█ ${after} +2024-03-07 14:00 .* ci@build-7 .*\\n▓ ${before} .* ana +“release 1\\.0”`, 'm'),
  );
});

test.serial('the demo shows a day of the past, with an image that is gone, and what changed since', async (t) => {
  const { stdout } = await runDemo(t);
  const acts = actsOf(stdout);
  const [before, gone] = [archivedId('docker.io/shop/app:1.0'), archivedId('docker.io/library/twice:1')];
  t.regex(acts[9] ?? '', new RegExp(`^sha256:${before}[0-9a-f]{52}$`, 'm'));
  t.regex(acts[9] ?? '', new RegExp(`^${gone} .* twice:1$`, 'm'));
  t.regex(acts[10] ?? '', new RegExp(`^− ${gone} `, 'm'));
});

test.serial('the demo shows two refusals that write nothing, and what a deletion takes along', async (t) => {
  const { stdout } = await runDemo(t);
  const [, , , refusals = '', deletion = '', table = ''] = actsOf(stdout);
  t.regex(refusals, /^ {2}PARENT_CYCLE: cannot make [\s\S]*^ {2}ID_AMBIGUOUS: [\s\S]*^The log is 0 events longer/m);
  const deleted = archivedId('docker.io/library/twice:1');
  t.true(deletion.includes(`store.delete('sha256:${deleted}…'`));
  t.regex(deletion, /^ {2}6 images before, 5 now; 3 layers gone:$/m);
  t.true(table.includes(archivedId('docker.io/library/tiny-lib:1')));
  t.false(table.includes(deleted));
});

test.serial('the demo says the same each time, in colours too', async (t) => {
  const plain = await runDemo(t);
  const coloured = await runDemo(t, { env: { FORCE_COLOR: '1' } });
  t.not(coloured.stdout, plain.stdout);
  t.is(stripVTControlCharacters(coloured.stdout), plain.stdout);
  const refused = await runDemo(t, { env: { FORCE_COLOR: '1', NO_COLOR: '1' } });
  t.is(refused.stdout, plain.stdout);
});

test.serial('the demo keeps its store in the folder of --keep, with a history around last Tuesday', async (t) => {
  const directory = join(await temporaryDirectory(t), 'kept');
  const { code, stdout, leftovers } = await runDemo(t, { args: ['--keep', directory] });
  t.is(code, 0);
  t.deepEqual(leftovers, []);
  t.true(stdout.includes(`\nexport IMAGELOG_STORE='${directory}'\n`));
  await using store = await openStore(directory, { readOnly: true });
  const [now, before] = (await store.referenceHistory('shop/app:prod')).reverse();
  t.deepEqual([now?.reason, before?.reason], ['release 2.0', 'release 1.0']);
  const days = (Date.now() - (now?.from ?? 0)) / 86_400_000;
  t.true(days >= 0 && days < 7, `the move is ${days} days old`);
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const asked: string = await store.resolve('shop/app:prod', { at: 'last tuesday', timeZone });
  t.is(asked, before?.image ?? '');
  t.deepEqual(await store.verify(), []);
});

test.serial('the demo refuses a folder that is not empty, and leaves it as it was', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'notes.txt'), 'mine');
  const { code, stderr } = await runDemo(t, { args: ['--keep', directory] });
  t.is(code, 2);
  t.regex(stderr, /^demo: --keep .*: the folder is not empty\nUsage: npm run demo/);
  t.deepEqual(await readdir(directory), ['notes.txt']);
});

/** A demo that does not finish still removes its folder, and ends with `code`. */
const endsEarly = test.macro({
  exec: async (t, options: RunOptions, expected: { readonly code: number; readonly stderr: RegExp }) => {
    const { code, stdout, stderr, leftovers } = await runDemo(t, options);
    t.regex(stderr, expected.stderr);
    t.is(code, expected.code);
    t.deepEqual(leftovers, []);
    t.false(stdout.includes('imagelog refs'));
  },
  title: (name = '') => `a demo that ends early removes its folder: ${name}`,
});

// In the child, at a known point: a signal from here could come when all is over.
const onFirstWrite = (action: string): string => `
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (...args) => {
    process.stdout.write = write;
    ${action};
    return write(...args);
  };`;

test.serial(
  'Ctrl-C',
  endsEarly,
  { before: onFirstWrite("process.kill(process.pid, 'SIGINT')") },
  {
    code: 130,
    stderr: /^demo: interrupted by SIGINT; its folder is removed\n$/,
  },
);
test.serial(
  'a request to terminate',
  endsEarly,
  { before: onFirstWrite("process.kill(process.pid, 'SIGTERM')") },
  {
    code: 143,
    stderr: /^demo: interrupted by SIGTERM; its folder is removed\n$/,
  },
);
test.serial(
  'a failure',
  endsEarly,
  { before: onFirstWrite("throw new Error('no ink')") },
  {
    code: 1,
    stderr: /^demo: failed: Error: no ink\n/,
  },
);
test.serial('a reader that goes away', endsEarly, { closesStdout: true }, { code: 0, stderr: /^$/ });
