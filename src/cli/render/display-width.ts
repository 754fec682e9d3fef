import stringWidth from 'string-width';

/** Returns how many columns a terminal gives to `text`, which has no control characters. */
export function displayWidth(text: string): number {
  return stringWidth(text);
}

/** Returns the columns of the widest of `texts`; 0 when there is none. */
export function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, displayWidth(text)), 0);
}

/** Returns `text` cut to at most `columns` columns; what was cut shows as `…`. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns < 1) return '';
  let kept = '';
  let width = 0;
  // By what is drawn as one: half an emoji would leave a joiner that nobody sees.
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += displayWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Returns `text` filled up with spaces to `columns` columns, on the left when `align` is `right`. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, columns - displayWidth(text)));
  return align === 'right' ? spaces + text : text + spaces;
}
