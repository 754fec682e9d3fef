import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { temporaryDirectory } from '../support/temporary-directory.js';

const run = promisify(execFile);
const BENCH = fileURLToPath(new URL('../../scripts/bench/main.js', import.meta.url));

/** The first and the last line, as a program gets them. */
interface Machine {
  readonly machine: 'before' | 'after';
  readonly load: readonly number[];
}

/** One line of the report between these. */
interface Line {
  readonly name: string;
  readonly size?: number;
  readonly unit: string;
  readonly ours: { readonly wall: { readonly median: number }; readonly cpu: { readonly median: number } };
  readonly rounds: number;
}

async function quickLook(
  t: ExecutionContext,
  names: readonly string[],
): Promise<{ lines: Line[]; machines: Machine[]; leftovers: string[]; notes: string[] }> {
  const TMPDIR = await temporaryDirectory(t);
  const args = [BENCH, '--quick', '--json', ...names];
  const { stdout, stderr } = await run(process.execPath, args, { env: { PATH: process.env['PATH'], TMPDIR } });
  const objects = stdout.split('\n').filter((line) => line !== '');
  const parsed = objects.map((line) => JSON.parse(line) as Line | Machine);
  return {
    lines: parsed.filter((each) => 'name' in each),
    machines: [parsed[0], parsed.at(-1)].map((each) => each as Machine),
    leftovers: await readdir(TMPDIR),
    notes: stderr.split('\n'),
  };
}

test.serial(
  'a quick run asks the past of a small log, judges nothing, and leaves only the log for the next run',
  async (t) => {
    const { lines, machines, leftovers, notes } = await quickLook(t, ['at']);
    t.deepEqual(
      lines.map(({ name, size, unit }) => `${name} (${size}), ${unit}`),
      [
        'at, median of 20 random moments (10000), s',
        'at, slowest of 20 random moments (10000), s',
        'at and a name resolved, slowest of 20 (10000), s',
        'at, just before a snapshot (10000), s',
        'at and a name resolved, just before a snapshot (10000), s',
        'at and images, heads, names, layers (10000), s',
      ],
    );
    for (const line of lines) {
      t.true(line.ours.wall.median > 0 && line.ours.cpu.median > 0, line.name);
      t.is(line.rounds, 3, line.name);
      t.false('met' in line, line.name);
    }
    t.deepEqual(
      machines.map(({ machine, load }) => [machine, load.length]),
      [
        ['before', 3],
        ['after', 3],
      ],
    );
    t.is(notes.filter((note) => note.startsWith('nothing is judged')).length, 1);
    t.false(notes.some((note) => /\bmet\b|MISSED/.test(note)));
    t.is(leftovers.length, 1);
    t.regex(leftovers[0] ?? '', /^imagelog-bench-life-/);
  },
);

test.serial('a benchmark that is not there is wrong usage', async (t) => {
  const error = await t.throwsAsync(run(process.execPath, [BENCH, '--quick', 'nothing']));
  t.is((error as Error & { code?: number }).code, 2);
});

/** Peers with a package or a program that may not be here. */
const PEERS = ['Emmett + SQLite', 'hypercore', 'better-sqlite3 tables', 'LMDB tables'];

test.serial('a smoke run has numbers for every line, and a peer that is not here is left out by name', async (t) => {
  const TMPDIR = await temporaryDirectory(t);
  const env = { PATH: process.env['PATH'], TMPDIR };
  const { stdout } = await run(process.execPath, [BENCH, '--smoke', 'create', 'append-peers'], { env });
  t.regex(stdout, /^create, one after another/m);
  for (const peer of PEERS) {
    t.true(stdout.includes(`  to ${peer} `) || stdout.includes(`  ${peer} is left out: `), peer);
  }
  t.false(/NaN|Infinity/.test(stdout));
});
