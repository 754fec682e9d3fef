import { eastAsianWidth } from 'get-east-asian-width';

const PLAIN = /^[\x20-\x7e]*$/;

/** What stands on the character before it, or has no column at all. */
const NO_COLUMN = new RegExp(
  '^(?:[\\p{Cc}\\p{Cs}\\u200b-\\u200f\\ufe00-\\ufe0f\\ufeff\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff' +
    '\\u20d0-\\u20ff\\ufe20-\\ufe2f]|\\p{Default_Ignorable_Code_Point}$)',
  'u',
);
const EMOJI = '\\p{RGI_Emoji}|[\\p{Emoji}--[0-9#*\\u{1f1e6}-\\u{1f1ff}]]|[0-9#*]\\u20e3';

const segmenter = new Intl.Segmenter();
let emoji: RegExp | undefined;

/** Returns how many columns a terminal gives to `text`, which has no control characters. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of segmenter.segment(text)) columns += segmentWidth(segment);
  return columns;
}

function segmentWidth(segment: string): number {
  if (NO_COLUMN.test(segment)) return 0;
  // Compiled at first use: the list of emoji takes a millisecond.
  emoji ??= new RegExp(EMOJI, 'v');
  return emoji.test(segment) ? 2 : eastAsianWidth(segment.codePointAt(0) ?? 0);
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
  for (const { segment } of segmenter.segment(text)) {
    width += segmentWidth(segment);
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
