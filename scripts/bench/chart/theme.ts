/** Width in pixels: fits a README without scaling. */
export const CHART_WIDTH = 860;
/** Pixels between the baselines of two rows. */
export const ROW_HEIGHT = 20;
export const FONT_SIZE = 12;
export const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif';

/** Contrast of at least 4 on both white and black: the chart has no background. */
export const INK = '#737b85';
export const FAINT = '#737b8566';
export const MET = '#2f8f5b';
export const MISSED = '#d0563c';

/** Adjacent lines; distinguishable with color blindness (adapted from Okabe and Ito). */
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
