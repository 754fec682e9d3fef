import { displayWidth, pad, truncate } from './display-width.js';
import type { Colors, Paint } from './colors.js';
import { printable } from './printable.js';

/** One column of a table. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right' | undefined;
  /** Columns below which it is not cut when the terminal is narrow; absent when it is never cut. */
  readonly shrinksTo?: number | undefined;
  readonly paint?: Paint | undefined;
}

const GAP = '  ';

/**
 * Returns the lines of a table, its head first, that fit `width` columns (any
 * length when undefined). Cells are plain text: they are made printable here
 * and painted after they are fitted. No line ends in a space.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { readonly width?: number | undefined; readonly colors: Colors },
): string[] {
  const cells = rows.map((row) => row.map(printable));
  const natural = columns.map(({ title }, at) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[at] ?? ''))),
  );
  const widths = fitWidths(columns, natural, options.width);
  const head = columns.map(({ title, align }, at) => ({ text: title, align, paint: options.colors.bold, at }));
  return [
    joinCells(head, widths),
    ...cells.map((row) =>
      joinCells(
        columns.map(({ align, paint }, at) => ({ text: row[at] ?? '', align, paint, at })),
        widths,
      ),
    ),
  ];
}

/**
 * Returns the width of each column so that all of them with their gaps fit
 * `width`: the widest of those that may shrink gives first.
 */
export function fitWidths(columns: readonly Column[], natural: readonly number[], width: number | undefined): number[] {
  const widths = [...natural];
  if (width === undefined) return widths;
  let excess = widths.reduce((sum, each) => sum + each, (columns.length - 1) * GAP.length) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [at, { shrinksTo }] of columns.entries()) {
      const mayShrink = shrinksTo !== undefined && (widths[at] ?? 0) > shrinksTo;
      if (mayShrink && (widest === -1 || (widths[at] ?? 0) > (widths[widest] ?? 0))) widest = at;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

interface PlacedCell {
  readonly text: string;
  readonly align?: 'left' | 'right' | undefined;
  readonly paint?: Paint | undefined;
  readonly at: number;
}

function joinCells(cells: readonly PlacedCell[], widths: readonly number[]): string {
  const lastFilled = cells.findLastIndex(({ text }) => text !== '');
  return cells
    .slice(0, lastFilled + 1)
    .map(({ text, align, paint, at }) => {
      const width = widths[at] ?? 0;
      const fitted = truncate(text, width);
      const painted = paint === undefined || fitted === '' ? fitted : paint(fitted);
      const missing = pad('', width - displayWidth(fitted));
      if (align === 'right') return missing + painted;
      return at === lastFilled ? painted : painted + missing;
    })
    .join(GAP);
}
