import type { Measured } from '../benchmark.js';
import { formatNumber, formatSize } from '../format-number.js';
import { oursOf, type Point, steepestSlopeOf } from '../statistics.js';
import { decadesAround, decadesOf, type LogScale, logScale } from './log-scale.js';
import type { Panel } from './panel.js';
import { element, line, text } from './svg.js';
import { CHART_WIDTH, FAINT, INK, ROW_HEIGHT, SERIES } from './theme.js';

const TOP = 44;
const LEFT = 64;
const RIGHT = CHART_WIDTH - 330;
const PLOT_HEIGHT = 380;
const BOTTOM = TOP + PLOT_HEIGHT;
const LEGEND = RIGHT + 40;
const DOT = 3;

/** Values of one measure per size, ascending. */
interface Series {
  readonly name: string;
  readonly unit: string;
  readonly colour: string;
  readonly points: readonly Point[];
}

/**
 * Plots medians over the size on log-log axes; the dashed line is linear growth. The legend has
 * first value, last value and the judged growth exponent. Empty without data.
 */
export function growthLines(lines: readonly Measured[], sizeOf: 'events' | 'images'): Panel {
  const all = seriesOf(lines.filter((each) => each.size !== undefined && (each.sizeOf ?? 'events') === sizeOf));
  const points = all.flatMap((series) => series.points);
  if (points.length === 0) return { height: 0, content: [] };
  const x = logScale(decadesAround(points.map(({ size }) => size)), [LEFT, RIGHT]);
  const y = logScale(decadesAround(points.map(({ value }) => value)), [BOTTOM, TOP]);
  const legendBottom = TOP + (all.length + 1) * 2 * ROW_HEIGHT;
  return {
    height: Math.max(BOTTOM + 48, legendBottom),
    content: [
      text(0, 16, `Growth: median over ${sizeOf} in the store, both axes logarithmic`, {
        'font-weight': 'bold',
        fill: INK,
      }),
      ...axes(x, y, sizeOf),
      reference(x, y),
      ...all.flatMap((series) => drawn(series, x, y)),
      ...legend(all),
    ],
  };
}

function seriesOf(lines: readonly Measured[]): Series[] {
  const names = [...new Set(lines.map(({ name }) => name))];
  return names.flatMap((name, index) => {
    const ofName = lines.filter((each) => each.name === name);
    const points = ofName
      .map((each) => ({ size: each.size ?? 0, value: oursOf(each)?.median ?? 0 }))
      .filter(({ value }) => value > 0)
      .sort((a, b) => a.size - b.size);
    const colour = SERIES[index % SERIES.length] as string;
    return points.length < 2 ? [] : { name, unit: ofName[0]?.unit ?? '', colour, points };
  });
}

function axes(x: LogScale, y: LogScale, sizeOf: string): string[] {
  const columns = decadesOf(x.domain).flatMap((size) => [
    line([x.at(size), TOP], [x.at(size), BOTTOM], { stroke: FAINT }),
    text(x.at(size), BOTTOM + 18, formatSize(size), { 'text-anchor': 'middle', fill: INK }),
  ]);
  const rows = decadesOf(y.domain).flatMap((value) => [
    line([LEFT, y.at(value)], [RIGHT, y.at(value)], { stroke: FAINT }),
    text(LEFT - 8, y.at(value) + 4, formatNumber(value), { 'text-anchor': 'end', fill: INK }),
  ]);
  const middle = (TOP + BOTTOM) / 2;
  return [
    ...columns,
    ...rows,
    text((LEFT + RIGHT) / 2, BOTTOM + 38, sizeOf, { 'text-anchor': 'middle', fill: INK }),
    text(12, middle, 'value, in the unit of the legend', {
      'text-anchor': 'middle',
      fill: INK,
      transform: `rotate(-90 12 ${middle})`,
    }),
  ];
}

/** Linear growth: from the lower left corner to where it leaves the plot. */
function reference(x: LogScale, y: LogScale): string {
  const factor = Math.min(x.domain[1] / x.domain[0], y.domain[1] / y.domain[0]);
  const end: [number, number] = [x.at(x.domain[0] * factor), y.at(y.domain[0] * factor)];
  return line([LEFT, BOTTOM], end, { stroke: INK, 'stroke-dasharray': '5 4' });
}

function drawn({ colour, points }: Series, x: LogScale, y: LogScale): string[] {
  const places = points.map(({ size, value }) => [x.at(size).toFixed(1), y.at(value).toFixed(1)] as const);
  return [
    element('polyline', {
      points: places.map((place) => place.join(',')).join(' '),
      fill: 'none',
      stroke: colour,
      'stroke-width': 2,
    }),
    ...places.map(([cx, cy]) => element('circle', { cx, cy, r: DOT, fill: colour })),
  ];
}

function legend(all: readonly Series[]): string[] {
  const last = (series: Series): number => series.points.at(-1)?.value ?? 0;
  // Sorted like the line ends, top down, to match the plot.
  const sorted = [...all].sort((a, b) => last(b) - last(a));
  const entries = sorted.flatMap(({ name, unit, colour, points }, index) => {
    const base = TOP + 12 + index * 2 * ROW_HEIGHT;
    const values = [points[0], points.at(-1)].map((point) => formatNumber(point?.value ?? 0)).join(' → ');
    return [
      line([LEGEND, base - 4], [LEGEND + 20, base - 4], { stroke: colour, 'stroke-width': 2 }),
      element('circle', { cx: LEGEND + 10, cy: base - 4, r: DOT, fill: colour }),
      text(LEGEND + 28, base, name, { fill: INK }),
      text(LEGEND + 28, base + 16, `${values} ${unit}, grows as n^${powerOf(points)}`, { fill: INK }),
    ];
  });
  const base = TOP + 12 + all.length * 2 * ROW_HEIGHT;
  return [
    ...entries,
    line([LEGEND, base - 4], [LEGEND + 20, base - 4], { stroke: INK, 'stroke-dasharray': '5 4' }),
    text(LEGEND + 28, base, 'grows as n, for reference', { fill: INK }),
  ];
}

/** A value that rounds to zero has no sign. */
function powerOf(points: readonly Point[]): string {
  return steepestSlopeOf(points)
    .toFixed(2)
    .replace(/^-(?=0\.00$)/, '');
}
