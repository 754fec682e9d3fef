import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { temporaryDirectory } from '../support/temporary-directory.js';

const run = promisify(execFile);
const BENCH = fileURLToPath(new URL('../../scripts/bench/main.js', import.meta.url));

/** One line of the report, as a program gets it. */
interface Line {
  readonly name: string;
  readonly size?: number;
  readonly unit: string;
  readonly ours: { readonly median: number };
  readonly rounds: number;
}

async function quickLook(
  t: ExecutionContext,
  names: readonly string[],
): Promise<{ lines: Line[]; leftovers: string[]; notes: string[] }> {
  const TMPDIR = await temporaryDirectory(t);
  const args = [BENCH, '--quick', '--json', ...names];
  const { stdout, stderr } = await run(process.execPath, args, { env: { PATH: process.env['PATH'], TMPDIR } });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return {
    lines: lines.map((line) => JSON.parse(line) as Line),
    leftovers: await readdir(TMPDIR),
    notes: stderr.split('\n'),
  };
}

test.serial(
  'a quick run asks the past of a small log, judges nothing, and leaves only the log for the next run',
  async (t) => {
    const { lines, leftovers, notes } = await quickLook(t, ['at']);
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
      t.true(line.ours.median > 0, line.name);
      t.is(line.rounds, 3, line.name);
      t.false('met' in line, line.name);
    }
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
