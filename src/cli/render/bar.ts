const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/**
 * Returns a horizontal bar of `share` (0 to 1) of `columns` columns, to an
 * eighth of a column. A share above zero always shows.
 */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const shown = share > 0 ? Math.max(1, eighths) : 0;
  return '█'.repeat(Math.floor(shown / 8)) + (EIGHTHS[shown % 8] ?? '');
}

/**
 * Returns `columns` columns of a time line with the part from `start` to `end`
 * (both 0 to 1, `start` not after `end`) filled: at least one column of it.
 * Parts that touch share no column unless one of them is narrower than one.
 */
export function span(start: number, end: number, columns: number): string {
  const first = Math.min(columns - 1, Math.round(start * columns));
  const last = Math.max(first + 1, Math.min(columns, Math.round(end * columns)));
  return '─'.repeat(first) + '█'.repeat(last - first) + '─'.repeat(columns - last);
}
