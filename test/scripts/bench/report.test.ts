import test from 'ava';
import type { Measured } from '../../../scripts/bench/benchmark.js';
import { formatNumber } from '../../../scripts/bench/format-number.js';
import { formatGrowth } from '../../../scripts/bench/growth-table.js';
import { formatJson, formatTable } from '../../../scripts/bench/report.js';

const TARGET = { of: 'ours', bound: 'at most', value: 5 } as const;

const atSize = (size: number, ours: readonly number[], more: Partial<Measured> = {}): Measured => ({
  name: 'history, p99',
  unit: 'ms',
  ours,
  size,
  ...more,
});

test('a line says its size, its target and whether that is met', (t) => {
  const [met] = formatTable([atSize(1_000_000, [3, 4, 9], { target: TARGET })]);
  t.regex(met ?? '', /^history, p99 \(1,000,000\) +4 ms +\[3.5–6.5\] +<= 5 met$/);
  const [missed] = formatTable([atSize(1_000_000, [6, 7, 1], { target: TARGET })]);
  t.regex(missed ?? '', /<= 5 MISSED$/);
});

test('a peer has a line below ours with its ratio, and its settings stand at the end', (t) => {
  const ours = [30, 20, 40];
  const line = { name: 'append', unit: 'events/s', ours };
  const slow = { name: 'slow', values: [10, 10, 10], settings: 'synced' };
  const fast = { name: 'fast', values: [60, 60, 60] };
  const target = { of: 'ratio', bound: 'at least', value: 3 } as const;
  t.deepEqual(
    formatTable([
      { ...line, peer: slow, target },
      { ...line, peer: fast },
    ]).map((row) => row.trim().split(/ {2,}/)),
    [
      ['append', '30 events/s', '[25–35]'],
      ['to slow', '10 events/s', '3x [2.5–3.5]', '>= 3x met'],
      ['to fast', '60 events/s', '0.5x [0.417–0.583]'],
      ['slow: synced'],
    ],
  );
});

test('processor time stands beside that of the wall, and a target of both says which it misses', (t) => {
  const line = { name: 'load', unit: 's', ours: [{ wall: 2, cpu: 3 }] };
  const peer = { name: 'cp', values: [{ wall: 4, cpu: 2 }] };
  const target = { of: 'ratio', bound: 'at most', value: 1.1, by: 'both' } as const;
  t.deepEqual(
    formatTable([{ ...line, peer, target }]).map((row) => row.trim().split(/ {2,}/)),
    [
      ['load', '2 s', '[2–2]', 'CPU 3 [3–3]'],
      ['to cp', '4 s', '0.5x [0.5–0.5]', 'CPU 1.5x [1.5–1.5]', '<= 1.1x MISSED (CPU)'],
    ],
  );
});

test('what was measured again says how often, and what is too wide still', (t) => {
  const target = { of: 'ours', bound: 'at least', value: 1 } as const;
  const line = { name: 'append', unit: 'events/s', ours: [1, 2, 3], target, repeats: 2 };
  t.is(formatTable([line]).at(-1), '  measured 2 more times, because a range was too wide; too wide still: append');
  t.regex(
    formatTable([{ ...line, ours: [2, 2, 2], repeats: 1 }]).at(-1) ?? '',
    /^ {2}measured 1 more time.*narrow enough/,
  );
  t.is(formatTable([{ ...line, repeats: undefined }]).length, 1);
});

test('a table fits 132 columns', (t) => {
  const name = 'what has a name that is quite a bit long';
  const timed = (value: number) => ({ wall: value, cpu: value });
  const peer = { name: 'a peer, whose name is also quite long', values: [timed(123_456.78), timed(223_456.78)] };
  const target = { of: 'ratio', bound: 'at least', value: 0.123, by: 'both' } as const;
  for (const row of formatTable([{ name, unit: 'images/s', ours: [timed(7_654.321), timed(9_654.321)], peer, target }]))
    t.true(row.length <= 132, row);
});

test('growth is a row for each name and a column for each size', (t) => {
  const peer = { name: 'a peer', values: [10] };
  const [heading = '', ...rows] = formatGrowth([
    atSize(100_000, [2]),
    atSize(10_000, [1]),
    atSize(10_000, [5], { name: 'follow', peer }),
    { name: 'of no size', unit: 's', ours: [1] },
  ]);
  t.regex(heading, /^growth, by events in the store +10,000 +100,000$/);
  t.deepEqual(
    rows.map((row) => row.trim().split(/ {2,}/)),
    [['history, p99', '1 ms', '2 ms'], ['follow', '0.5x'], ['']],
  );
});

test('what grows by images has its own table', (t) => {
  const byImages = [1_000, 10_000].map((size) => atSize(size, [1], { name: 'open', sizeOf: 'images' }));
  const headings = formatGrowth([...byImages, atSize(10, [1]), atSize(20, [1])]).filter((row) => /^growth/.test(row));
  t.deepEqual(
    headings.map((row) => row.split(/ {2,}/)[0]),
    ['growth, by events in the store', 'growth, by images in the store'],
  );
});

test('one size does not grow', (t) => {
  t.deepEqual(formatGrowth([atSize(10_000, [1])]), []);
});

test('a program gets the spread of both sides and of the ratio, by both clocks', (t) => {
  const peer = { name: 'a peer', values: [1, 2, 4], settings: 'synced' };
  const ours = [2, 2, 2].map((wall) => ({ wall, cpu: 1 }));
  const target = { of: 'ratio', bound: 'at least', value: 1.5, by: 'wall' } as const;
  t.deepEqual(JSON.parse(formatJson({ name: 'append', unit: 's', ours, peer, target, repeats: 1 })), {
    name: 'append',
    unit: 's',
    ours: {
      wall: { median: 2, min: 2, max: 2, quartiles: [2, 2] },
      cpu: { median: 1, min: 1, max: 1, quartiles: [1, 1] },
    },
    peer: { name: 'a peer', settings: 'synced', wall: { median: 2, min: 1, max: 4, quartiles: [1.5, 3] } },
    ratio: { wall: { median: 1, min: 0.5, max: 2, quartiles: [0.75, 1.5] } },
    rounds: 3,
    repeats: 1,
    target,
    met: false,
    tooWide: true,
  });
});

const numbers: readonly (readonly [number, string])[] = [
  [0, '0'],
  [0.95123, '0.951'],
  [7.216, '7.22'],
  [384.4, '384'],
  [5_812, '5,812'],
  [61_300, '61.3k'],
  [999_950, '1,000k'],
  [1_518_000, '1.52M'],
];

for (const [value, expected] of numbers)
  test(`the number ${value} is written ${expected}`, (t) => t.is(formatNumber(value), expected));
