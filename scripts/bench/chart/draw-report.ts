import type { Measured } from '../benchmark.js';
import { verdictsOf } from '../verdicts.js';
import { growthLines } from './growth-lines.js';
import { element } from './svg.js';
import { targetBars } from './target-bars.js';
import { CHART_WIDTH, FONT, FONT_SIZE } from './theme.js';

/** Accessible title. */
const TITLE = 'Targets as bars, and how costs grow with images as lines';
/** Pixels around everything and between panels. */
const MARGIN = 10;

/** Draws the results as an SVG document: targets as bars, growth as lines. */
export function drawReport(lines: readonly Measured[]): string {
  const panels = [
    targetBars(verdictsOf(lines)),
    // Promised growth is over images; lines over events are in the table.
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
