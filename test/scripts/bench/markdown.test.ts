import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Measured } from '../../../scripts/bench/benchmark.js';
import { thisMachine } from '../../../scripts/bench/machine.js';
import { withTable } from '../../../scripts/bench/markdown.js';
import { TARGETS } from '../../../scripts/bench/targets.js';
import { projectRoot } from '../../support/fixtures.js';

const BEGIN = '<!-- the table below is written by npm run bench -- --markdown -->';
const END = '<!-- the table above is written by npm run bench -- --markdown -->';

const before = { ...thisMachine(), load: [1, 2, 3] };
const after = { ...thisMachine(), load: [4, 5, 6] };
const both = (value: number) => ({ wall: value, cpu: 2 * value });

const CREATE: Measured = {
  name: 'create',
  unit: 'creates/s',
  ours: [both(1), both(2), both(3)],
  peer: { name: 'level', values: [both(1), both(1), both(1)] },
  target: TARGETS.createTogetherToLevel,
};
const BESIDE: Measured = { ...CREATE, target: undefined, beside: TARGETS.createTogetherToLevel };
const FOLLOW: Measured = {
  ...CREATE,
  ours: [0.1, 0.1],
  peer: { name: 'level', values: [1, 1] },
  target: TARGETS.follow,
};

const rowsOf = (page: string): string[] => page.split('\n').filter((line) => /^\| (?!what)/.test(line));

test('a run writes what it judged, by each clock of its target, between the marks of a page', (t) => {
  const page = withTable(`head\n\n${BEGIN}\n${END}\n\nfoot\n`, { lines: [CREATE, BESIDE, FOLLOW], before, after });
  t.true(page.startsWith(`head\n\n${BEGIN}\n\n`));
  t.true(page.endsWith(`\n\n${END}\n\nfoot\n`));
  t.true(page.includes('- load average before: 1.00 2.00 3.00'));
  t.true(page.includes('- load average after: 4.00 5.00 6.00'));
  t.deepEqual(rowsOf(page), [
    '| create 64 at once, to level, chained | ≥ 0.65x | ~2x [1.5–2.5] | ~2x [1.5–2.5] |',
    '| · to level | | 2x [1.5–2.5] | 2x [1.5–2.5] |',
    '| follow from zero, to level, for await | ≥ 0.4x | **0.1x [0.1–0.1]** |  |',
  ]);
});

test('a run of some cases keeps the rows of the others, in the order of the targets', (t) => {
  const empty = `${BEGIN}\n${END}\n`;
  const first = withTable(empty, { lines: [CREATE, BESIDE], before, after });
  const second = withTable(first, { lines: [FOLLOW], before, after });
  t.deepEqual(rowsOf(second), rowsOf(withTable(empty, { lines: [FOLLOW, CREATE, BESIDE], before, after })));
  const third = withTable(second, { lines: [{ ...CREATE, ours: [both(5), both(5), both(5)] }], before, after });
  t.deepEqual(rowsOf(third)[0], '| create 64 at once, to level, chained | ≥ 0.65x | 5x [5–5] | 5x [5–5] |');
  t.is(rowsOf(third).length, 2);
});

test('a clock that does not judge stands there, and is never bold', (t) => {
  const line = { ...CREATE, ours: [both(1), both(1)], target: TARGETS.appendToEmmett };
  const peer = {
    name: 'Emmett',
    values: [
      { wall: 4, cpu: 1 },
      { wall: 4, cpu: 1 },
    ],
  };
  const page = withTable(`${BEGIN}\n${END}`, { lines: [{ ...line, peer }], before, after });
  t.deepEqual(rowsOf(page), ['| append in hundreds, to Emmett + SQLite | ≥ 2x, CPU | 0.25x [0.25–0.25] | 2x [2–2] |']);
});

test('a page without the marks is refused', (t) => {
  t.throws(() => withTable('page', { lines: [], before, after }), { message: /needs the lines/ });
});

test('docs/BENCHMARKS.md has the marks, and no row of a target that is not there', (t) => {
  const page = readFileSync(join(projectRoot, 'docs/BENCHMARKS.md'), 'utf8');
  t.deepEqual(rowsOf(withTable(page, { lines: [], before, after })), rowsOf(page));
});
