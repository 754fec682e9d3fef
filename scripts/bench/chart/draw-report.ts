import type { Measured } from '../benchmark.js';
import { verdictsOf } from '../verdicts.js';
import { growthLines } from './growth-lines.js';
import { element } from './svg.js';
import { targetBars } from './target-bars.js';
import { CHART_WIDTH, FONT, FONT_SIZE } from './theme.js';

/** What readers hear who do not see it. */
const TITLE = 'Targets as bars, and how costs grow with images as lines';
/** Pixels around everything, and between two panels. */
const MARGIN = 10;

/** Returns a chart, an SVG document, of what was measured: the targets as bars, and growth as lines. */
export function drawReport(lines: readonly Measured[]): string {
  const panels = [
    targetBars(verdictsOf(lines)),
    // What is measured over images is the growth that is promised; lines over events are in the table.
    growthLines(lines, 'images'),
  ];
  let top = MARGIN;
  const placed = panels.map(({ height, content }) => {
    const panel = element('g', { transform: `translate(${MARGIN} ${top})` }, content);
    top += height + MARGIN;
    return panel;
  });
  const [width, height] = [CHART_WIDTH + 2 * MARGIN, top];
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    width,
    height,
    viewBox: `0 0 ${width} ${Math.ceil(height)}`,
    'font-family': FONT,
    'font-size': FONT_SIZE,
  };
  return `${element('svg', attributes, [element('title', {}, [TITLE]), ...placed])}\n`;
}
