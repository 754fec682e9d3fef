import { eastAsianWidth } from 'get-east-asian-width';

/** One column each: ASCII, and what tables themselves write. Segmenting costs a hundred times as much. */
const PLAIN = /^[\x20-\x7e→“”…·─│┌└]*$/;

/** Zero-width characters. */
const NO_COLUMN =
  '^(?:[\\p{Cc}\\p{Cs}\\u200b-\\u200f\\ufe00-\\ufe0f\\ufeff\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff' +
  '\\u20d0-\\u20ff\\ufe20-\\ufe2f]|\\p{Default_Ignorable_Code_Point}$)';
const EMOJI = '\\p{RGI_Emoji}|[\\p{Emoji}--[0-9#*\\u{1f1e6}-\\u{1f1ff}]]|[0-9#*]\\u20e3';

// Made on first use: the segmenter takes eight milliseconds, the list of emoji one.
let segmenter: Intl.Segmenter | undefined;
let noColumn: RegExp | undefined;
let emoji: RegExp | undefined;

/** Returns the terminal columns of `text`, which must not contain control characters. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of segments(text)) columns += segmentWidth(segment);
  return columns;
}

function segments(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}

function segmentWidth(segment: string): number {
  noColumn ??= new RegExp(NO_COLUMN, 'u');
  if (noColumn.test(segment)) return 0;
  emoji ??= new RegExp(EMOJI, 'v');
  return emoji.test(segment) ? 2 : eastAsianWidth(segment.codePointAt(0) ?? 0);
}

/** Returns the width of the widest of `texts`; 0 if empty. */
export function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, displayWidth(text)), 0);
}

/** Cuts `text` to at most `columns` columns; `…` marks the cut. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns < 1) return '';
  let kept = '';
  let width = 0;
  // Cut by grapheme: half an emoji would leave an invisible joiner.
  for (const { segment } of segments(text)) {
    width += segmentWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Pads `text` with spaces to `columns` columns, on the left if `align` is `right`. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, columns - displayWidth(text)));
  return align === 'right' ? spaces + text : text + spaces;
}
