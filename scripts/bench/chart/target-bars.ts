import { formatNumber } from '../format-number.js';
import { formatTarget } from '../report.js';
import type { Judged } from '../statistics.js';
import { type Verdict, worstOf } from '../verdicts.js';
import { logScale } from './log-scale.js';
import type { Panel } from './panel.js';
import { element, line, text } from './svg.js';
import { CHART_WIDTH, FAINT, INK, MET, MISSED, ROW_HEIGHT } from './theme.js';

const TOP = 52;
const LEFT = 270;
const RIGHT = CHART_WIDTH - 170;
/** Longer bars are cut; their number shows it. */
const DOMAIN = [1 / 8, 8] as const;
const TICKS = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8] as const;
const BAR_HEIGHT = 12;

/** Draws a bar per measured target: to the right if exceeded, to the left if missed. */
export function targetBars(verdicts: readonly Verdict[]): Panel {
  const measured = verdicts.filter(({ judged }) => judged.length > 0);
  if (measured.length === 0) return { height: 0, content: [] };
  const x = logScale(DOMAIN, [LEFT, RIGHT]);
  const bottom = TOP + measured.length * ROW_HEIGHT;
  const grid = TICKS.flatMap((tick) => [
    line([x.at(tick), TOP - 6], [x.at(tick), bottom], { stroke: tick === 1 ? INK : FAINT }),
    text(x.at(tick), TOP - 12, tickName(tick), { 'text-anchor': 'middle', fill: INK }),
  ]);
  const rows = measured.flatMap((verdict, index) =>
    rowOf(verdict, worstOf(verdict.judged), TOP + index * ROW_HEIGHT, x.at),
  );
  return {
    height: bottom + ROW_HEIGHT,
    content: [
      text(0, 16, 'Targets: how many times better than asked (to the right) or worse (to the left)', {
        'font-weight': 'bold',
        fill: INK,
      }),
      ...grid,
      ...rows,
    ],
  };
}

/** Draws the clock that is furthest from its target. */
function rowOf(
  { target }: Verdict,
  { clock, figure, attainment }: Judged,
  top: number,
  at: (value: number) => number,
): string[] {
  const end = at(Math.min(Math.max(attainment, DOMAIN[0]), DOMAIN[1]));
  const [from, to] = [Math.min(at(1), end), Math.max(at(1), end)];
  const isMet = attainment >= 1;
  const base = top + BAR_HEIGHT + 1;
  const unit = target.of === 'ratio' ? 'x' : '';
  const by = clock === 'cpu' ? ' CPU' : '';
  const words = `${isMet ? '✓' : '✗'} ${formatNumber(figure)}${unit}${by}, asked ${formatTarget(target).replace('>=', '≥').replace('<=', '≤')}`;
  return [
    text(LEFT - 12, base, target.title, { 'text-anchor': 'end', fill: INK }),
    // A barely met target has almost no length but must stay visible.
    element('rect', {
      x: from,
      y: top + 3,
      width: Math.max(to - from, 2),
      height: BAR_HEIGHT,
      fill: isMet ? MET : MISSED,
    }),
    text(RIGHT + 12, base, words, { fill: isMet ? INK : MISSED }),
  ];
}

function tickName(tick: number): string {
  return tick < 1 ? `1/${1 / tick}` : `${tick}x`;
}
