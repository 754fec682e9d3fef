import { printable } from './texts.js';

/** What a spreadsheet takes for a formula, also in the wide forms of East Asian input methods. */
const FORMULA = /^[=+\-@＝＋－＠]/u;
const QUOTED = /[",]/;

/**
 * Formats one record of CSV (RFC 4180) without its line end; undefined is an empty cell.
 *
 * Texts come from archives and callers, so: a text that a spreadsheet would run as a formula
 * (`=`, `+`, `-`, `@`) gets a leading apostrophe, and control characters, line feeds among them,
 * are escaped as in tables. A record is always one line. Numbers stay as they are.
 */
export function csvRow(cells: readonly (string | number | undefined)[]): string {
  return cells.map(csvCell).join(',');
}

function csvCell(cell: string | number | undefined): string {
  if (cell === undefined) return '';
  if (typeof cell === 'number') return String(cell);
  const text = printable(FORMULA.test(cell) ? `'${cell}` : cell);
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
