import { displayWidth, pad, truncate, widest } from './display-width.js';
import { printable } from '../../model/texts.js';
import type { Colors, Paint } from './text.js';

/** A table column. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right' | undefined;
  /** Minimum width when shrinking for a narrow terminal; absent if it never shrinks. */
  readonly shrinksTo?: number | undefined;
  /** Drop order on a narrow terminal, highest first; absent if it is never dropped. */
  readonly goes?: number | undefined;
  readonly paint?: Paint | undefined;
}

const GAP = '  ';

interface TableOptions {
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
  readonly colors: Colors;
}

/** Returns the table fitted to `width`, plain cells escaped and painted, no trailing spaces. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: TableOptions,
): string[] {
  return [...linesOf(columns, rows.map(escapedRow), [].values(), options)];
}

/** A column of a table that is written while it is read. */
export interface StreamedColumn extends Column {
  /** Returns the minimum width in a table too long to measure whole. */
  readonly least?: (() => number) | undefined;
}

/** Rows that set the widths of such a table: before its first line, each of them is read. */
const MEASURED_ROWS = 64;

/**
 * Yields the lines of `tableLines`, reading rows as lines are taken. The first 64 rows, and
 * `least` of each column, set the widths: in a longer table a wider cell is cut if there is a
 * `width`, else its column is wider from there on.
 */
export function* streamedTableLines(
  columns: readonly StreamedColumn[],
  rows: Iterable<readonly string[]>,
  options: TableOptions,
): Generator<string> {
  const source = rows[Symbol.iterator]();
  const first: string[][] = [];
  for (let next = source.next(); next.done !== true; next = source.next()) {
    first.push(escapedRow(next.value));
    if (first.length === MEASURED_ROWS) break;
  }
  const isWhole = first.length < MEASURED_ROWS;
  const floored = columns.map(({ least, ...column }) => ({ ...column, least: isWhole ? 0 : (least?.() ?? 0) }));
  yield* linesOf(floored, first, source, options);
}

/** Lines of rows that are measured, and of those that follow them. */
function* linesOf(
  columns: readonly (Column & { readonly least?: number })[],
  first: readonly (readonly string[])[],
  others: Iterator<readonly string[]>,
  { width, colors }: TableOptions,
): Generator<string> {
  const measured = columns.map((column, at) => ({
    ...column,
    at,
    natural: Math.max(column.least ?? 0, widest([column.title, ...first.map((row) => row[at] ?? '')])),
  }));
  const shown = columnsThatFit(measured, width);
  const widths = fitWidths(shown, width);
  const place = (row: readonly string[], paintOf: (column: Column) => Paint | undefined): string =>
    joinCells(
      shown.map((column) => ({ text: row[column.at] ?? '', align: column.align, paint: paintOf(column) })),
      widths,
    );
  const titles = columns.map(({ title }) => title);
  yield place(titles, () => colors.bold);
  for (const row of first) yield place(row, ({ paint }) => paint);
  for (let next = others.next(); next.done !== true; next = others.next()) {
    const row = escapedRow(next.value);
    // Nothing cuts a line that may have any length.
    if (width === undefined) widen(widths, shown, row);
    yield place(row, ({ paint }) => paint);
  }
}

function escapedRow(row: readonly string[]): string[] {
  return row.map(printable);
}

function widen(widths: number[], columns: readonly MeasuredColumn[], row: readonly string[]): void {
  for (const [place, { at }] of columns.entries()) {
    widths[place] = Math.max(widths[place] ?? 0, displayWidth(row[at] ?? ''));
  }
}

interface MeasuredColumn extends Column {
  readonly at: number;
  readonly natural: number;
}

function columnsThatFit(columns: readonly MeasuredColumn[], width: number | undefined): readonly MeasuredColumn[] {
  const least = columns.map(({ natural, shrinksTo = natural }) => Math.min(natural, shrinksTo));
  const sum = least.reduce((total, each) => total + each, (columns.length - 1) * GAP.length);
  const last = columns.reduce((highest, { goes = 0 }) => Math.max(highest, goes), 0);
  if (width === undefined || sum <= width || last === 0) return columns;
  return columnsThatFit(
    columns.filter(({ goes = 0 }) => goes !== last),
    width,
  );
}

/** Fits all columns and gaps into `width`, shrinking the widest shrinkable column first. */
function fitWidths(columns: readonly MeasuredColumn[], width: number | undefined): number[] {
  const widths = columns.map(({ natural }) => natural);
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
}

function joinCells(cells: readonly PlacedCell[], widths: readonly number[]): string {
  const lastFilled = cells.findLastIndex(({ text }) => text !== '');
  return cells
    .slice(0, lastFilled + 1)
    .map(({ text, align, paint }, at) => {
      const width = widths[at] ?? 0;
      const fitted = truncate(text, width);
      const painted = paint === undefined || fitted === '' ? fitted : paint(fitted);
      const missing = pad('', width - displayWidth(fitted));
      if (align === 'right') return missing + painted;
      return at === lastFilled ? painted : painted + missing;
    })
    .join(GAP);
}

interface TreeLine<Node> {
  readonly node: Node;
  /** Box-drawing prefix of the node's text; empty for a root. */
  readonly branch: string;
}

/** Draws a forest of any depth: each node after its parent, in the given order. */
export function treeLines<Node>(roots: readonly Node[], childrenOf: (node: Node) => readonly Node[]): TreeLine<Node>[] {
  const lines: TreeLine<Node>[] = [];
  // Uses an explicit stack: a chain of parents may exceed the call stack.
  const waiting = roots.map((node) => ({ node, branch: '', indent: '' })).reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, branch, indent } = next;
    lines.push({ node, branch });
    const children = childrenOf(node);
    for (let at = children.length - 1; at >= 0; at--) {
      const isLast = at === children.length - 1;
      waiting.push({
        node: children[at] as Node,
        branch: `${indent}${isLast ? '└─ ' : '├─ '}`,
        indent: `${indent}${isLast ? '   ' : '│  '}`,
      });
    }
  }
  return lines;
}
