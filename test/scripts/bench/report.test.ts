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
  t.regex(met ?? '', /^history, p99 \(1,000,000\) +4 ms +\[3–9\] +<= 5 met$/);
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
      ['append', '30 events/s', '[20–40]'],
      ['to slow', '10 events/s', '3x [2–4]', '>= 3x met'],
      ['to fast', '60 events/s', '0.5x [0.333–0.667]'],
      ['slow: synced'],
    ],
  );
});

test('a table fits a terminal of 104 columns', (t) => {
  const name = 'what has a name that is quite a bit long';
  const peer = { name: 'a peer, whose name is also quite long', values: [123_456.78, 223_456.78] };
  const target = { of: 'ratio', bound: 'at least', value: 0.123 } as const;
  for (const row of formatTable([{ name, unit: 'images/s', ours: [7_654.321, 9_654.321], peer, target }]))
    t.true(row.length <= 104, row);
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

test('a program gets the spread of both sides and of the ratio', (t) => {
  const peer = { name: 'a peer', values: [1, 2, 4], settings: 'synced' };
  t.deepEqual(JSON.parse(formatJson({ name: 'append', unit: 's', ours: [2, 2, 2], peer })), {
    name: 'append',
    unit: 's',
    ours: { median: 2, min: 2, max: 2 },
    peer: { name: 'a peer', settings: 'synced', median: 2, min: 1, max: 4 },
    ratio: { median: 1, min: 0.5, max: 2 },
    rounds: 3,
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
