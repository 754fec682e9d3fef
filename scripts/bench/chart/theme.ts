/** Pixels across: what a README shows without making it smaller. */
export const CHART_WIDTH = 860;
/** Pixels between the base lines of two rows. */
export const ROW_HEIGHT = 20;
export const FONT_SIZE = 12;
export const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif';

/** Of the same contrast, at least 4, on a white page and on a black one: the chart has no ground of its own. */
export const INK = '#737b85';
export const FAINT = '#737b8566';
export const MET = '#2f8f5b';
export const MISSED = '#d0563c';

/** For lines beside one another: told apart by people who see colours otherwise, too (after Okabe and Ito, made darker or lighter). */
export const SERIES = [
  '#0f83c9',
  '#d9730d',
  '#0b9a74',
  '#c0609a',
  '#8a8400',
  '#7a6fd0',
  '#b0502f',
  '#4f8f9f',
  '#6b8e23',
] as const;
