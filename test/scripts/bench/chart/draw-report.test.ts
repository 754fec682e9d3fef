import test from 'ava';
import type { Measured } from '../../../../scripts/bench/benchmark.js';
import { drawReport } from '../../../../scripts/bench/chart/draw-report.js';
import { logScale } from '../../../../scripts/bench/chart/log-scale.js';
import { CHART_WIDTH } from '../../../../scripts/bench/chart/theme.js';
import { TARGETS } from '../../../../scripts/bench/targets.js';

const grown = (name: string, valueAt: (size: number) => number): Measured[] =>
  [1_000, 10_000, 100_000].map((size) => ({ name, unit: 'ms', ours: [valueAt(size)], size, sizeOf: 'images' }));

const LINES: readonly Measured[] = [
  { name: 'search', unit: 'calls/s', ours: [{ wall: 4_320_000, cpu: 4_320_000 }], target: TARGETS.search },
  { name: 'children', unit: 'calls/s', ours: [{ wall: 780_000, cpu: 1_000_000 }], target: TARGETS.children },
  ...grown('open', (size) => size / 50),
  ...grown('get <cold> & "warm"', () => 0.01),
];

/** The tags of a document with what each says of itself. */
function tagsOf(svg: string, name: string): string[] {
  return [...svg.matchAll(new RegExp(`<${name} [^>]*>`, 'g'))].map(([tag]) => tag);
}

const numberOf = (tag: string, key: string): number => Number(new RegExp(` ${key}="([^"]*)"`).exec(tag)?.[1]);

test('every tag of a chart is closed, and words are escaped', (t) => {
  const svg = drawReport(LINES);
  const open: string[] = [];
  for (const [, slash, name, end] of svg.matchAll(/<(\/?)([a-z]+)(?: [a-zA-Z0-9-]+="[^"<]*")*(\/?)>/g)) {
    if (slash === '/') t.is(open.pop(), name);
    else if (end !== '/') open.push(name as string);
  }
  t.deepEqual(open, []);
  t.true(svg.includes('get &lt;cold&gt; &amp; &quot;warm&quot;'));
  t.false(svg.includes('NaN'));
});

test('a target that is met goes to the right of the middle, one that is missed as far to the left', (t) => {
  const [met, missed] = tagsOf(drawReport(LINES), 'rect') as [string, string];
  t.is(numberOf(met, 'width'), numberOf(missed, 'width'));
  t.is(numberOf(met, 'x'), numberOf(missed, 'x') + numberOf(missed, 'width'));
});

test('what grows is a line of a dot for each size, and the legend says its power', (t) => {
  const svg = drawReport(LINES);
  t.is(tagsOf(svg, 'polyline').length, 2);
  // Each measure has one more in the legend.
  t.is(tagsOf(svg, 'circle').length, 2 * 3 + 2);
  t.true(svg.includes('20 → 2,000 ms, grows as n^1.00'));
  t.true(svg.includes('grows as n^0.00'));
});

test('nothing is drawn beside the chart', (t) => {
  for (const tag of [...tagsOf(drawReport(LINES), 'rect'), ...tagsOf(drawReport(LINES), 'circle')]) {
    const x = numberOf(tag, tag.startsWith('<rect') ? 'x' : 'cx');
    t.true(x >= 0 && x <= CHART_WIDTH, tag);
  }
});

test('a chart of nothing is still one', (t) => {
  t.regex(drawReport([]), /^<svg .*<\/svg>\n$/s);
});

test('a logarithmic scale gives each decade as much room', (t) => {
  const scale = logScale([1, 1_000], [100, 400]);
  t.deepEqual(
    [1, 10, 100, 1_000].map((value) => Math.round(scale.at(value))),
    [100, 200, 300, 400],
  );
});
