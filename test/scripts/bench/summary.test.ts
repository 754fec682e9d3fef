import test from 'ava';
import type { Measured, Target } from '../../../scripts/bench/benchmark.js';
import type { Figure } from '../../../scripts/bench/rounds.js';
import { formatSummary } from '../../../scripts/bench/summary.js';
import { TARGETS } from '../../../scripts/bench/targets.js';
import { verdictsOf, worstOf } from '../../../scripts/bench/verdicts.js';

const timed = (each: number): Figure => ({ wall: each, cpu: each });

const measured = (name: string, target: Target, ours: number): Measured => ({
  name,
  unit: '',
  ours: [timed(ours)],
  peer: { name: 'a peer', values: [timed(1)] },
  target,
});

test('every target is there in its order, met, missed or not measured', (t) => {
  const lines = formatSummary({
    lines: [measured('', TARGETS.search, 3_000_000), measured('', TARGETS.createToLevel, 0.5)],
    failures: [],
    isWhole: true,
    isJudged: true,
  });
  const rows = lines.slice(1).map((row) => row.split(/ {2,}/));
  t.deepEqual(
    rows.slice(0, -1).map(([title]) => title),
    Object.values(TARGETS).map(({ title }) => title),
  );
  t.deepEqual(rows[0], ["create one by one, to Docker's calls", '>= 1.5x', 'not measured']);
  t.deepEqual(rows[1], ['create one by one, to level', '>= 0.9x', '0.5x [0.5–0.5]', '0.5x [0.5–0.5]', 'MISSED']);
  t.deepEqual(
    rows.find(([title]) => title === TARGETS.search.title),
    ['search by prefix, a second', '>= 2.16M', '3M [3M–3M]', '3M [3M–3M]', 'met'],
  );
  t.is(lines.at(-1), `1 of 2 targets met; ${Object.keys(TARGETS).length - 2} not measured`);
});

test('targets beside the table are counted, and named when they are missed', (t) => {
  const target = { of: 'ours', bound: 'at most', value: 1 } as const;
  const lines = formatSummary({
    lines: [measured('one', target, 1), measured('another', target, 2)],
    failures: ['load'],
    isWhole: false,
    isJudged: true,
  });
  t.deepEqual(lines.slice(-3), [
    `1 of 2 targets met; ${Object.keys(TARGETS).length} not measured`,
    'missed beside these: another',
    'failed: load',
  ]);
});

test('a number with too wide a range is marked', (t) => {
  const wide = { ...measured('', TARGETS.search, 1), ours: [1, 2, 3].map((each) => timed(each * 3_000_000)) };
  const rows = formatSummary({ lines: [wide], failures: [], isWhole: false, isJudged: true });
  t.regex(rows[1] ?? '', /met, too wide$/);
});

test('what stands beside a target is below it, with its ratio and no verdict', (t) => {
  const { target, ...beside } = measured('', TARGETS.follow, 0.25);
  const rows = formatSummary({
    lines: [measured('', target as Target, 0.5), { ...beside, beside: TARGETS.follow }],
    failures: [],
    isWhole: false,
    isJudged: true,
  }).map((row) => row.trim().split(/ {2,}/));
  t.deepEqual(rows.slice(1, 3), [
    [TARGETS.follow.title, '>= 0.4x', '0.5x [0.5–0.5]', '0.5x [0.5–0.5]', 'met'],
    ['to a peer', '0.25x [0.25–0.25]', '0.25x [0.25–0.25]', 'for information'],
  ]);
  t.regex(rows[3]?.[0] ?? '', /^1 of 1 targets met/);
});

test('what is not judged has no verdict, and says so once', (t) => {
  const [note, ...more] = formatSummary({ lines: [], failures: ['load'], isWhole: true, isJudged: false });
  t.regex(note ?? '', /^nothing is judged/);
  t.deepEqual(more, ['failed: load']);
});

test('of several lines with one target the one that is furthest from it counts', (t) => {
  const verdict = verdictsOf([
    measured('', TARGETS.save, 1.2),
    measured('', TARGETS.save, 1.56),
    measured('', TARGETS.save, 1.1),
  ]).find(({ target }) => target === TARGETS.save);
  t.is(worstOf(verdict?.judged ?? []).figure, 1.56);
  t.is(worstOf(verdict?.judged ?? []).attainment.toFixed(3), '0.833');
});
