import test from 'ava';
import type { Measured } from '../../../scripts/bench/benchmark.js';
import { formatGrowth, formatLine, formatSummary } from '../../../scripts/bench/report.js';
import { percentileOf } from '../../../scripts/bench/statistics.js';

const TARGET = { of: 'ours', bound: 'at most', value: 5 } as const;

const atSize = (size: number, ours: readonly number[], more: Partial<Measured> = {}): Measured => ({
  name: 'history, p99',
  unit: 'ms',
  ours,
  size,
  ...more,
});

test('a line says its size, its target and whether that is met', (t) => {
  const met = formatLine(atSize(1_000_000, [3, 4, 9], { target: TARGET }));
  t.regex(met, /^history, p99 \(1,000,000\) +4 ms +\[3–9\] +<= 5 +met$/);
  const missed = atSize(1_000_000, [6, 7, 1], { target: TARGET });
  t.regex(formatLine(missed), /<= 5 +MISSED$/);
  t.is(formatSummary([missed], []), '0 of 1 targets met; missed: history, p99 (1,000,000)');
});

test('growth is a row for each name and a column for each size', (t) => {
  const peer = { name: 'a peer', values: [10] };
  const [heading = '', ...rows] = formatGrowth([
    atSize(100_000, [2]),
    atSize(10_000, [1]),
    atSize(10_000, [5], { name: 'follow', peer }),
    { name: 'of no size', unit: 's', ours: [1] },
  ]);
  t.regex(heading, /^growth, by events in the log +10,000 +100,000$/);
  t.deepEqual(
    rows.map((row) => row.trim().split(/ {2,}/)),
    [['history, p99', '1 ms', '2 ms'], ['follow', 'x 0.5'], ['']],
  );
});

test('one size does not grow', (t) => {
  t.deepEqual(formatGrowth([atSize(10_000, [1])]), []);
});

test('a percentile is the value that so many do not exceed', (t) => {
  const values = Array.from({ length: 1_000 }, (_, at) => 1_000 - at);
  t.is(percentileOf(values, 99), 990);
  t.is(percentileOf(values, 50), 500);
  t.is(percentileOf([7], 99), 7);
  t.throws(() => percentileOf([], 50), { instanceOf: RangeError });
});
