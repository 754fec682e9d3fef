import { displayWidth } from './display-width.js';
import type { Paint } from './text.js';

/** A piece of a line, escaped, that is split only if it is longer than a line. */
export interface Phrase {
  readonly text: string;
  /** Columns between it and what is before it on the same line. */
  readonly gap: number;
  readonly paint?: Paint | undefined;
  /** Paints its first word. */
  readonly paintFirst?: Paint | undefined;
}

interface Flow {
  /** Start of the first line, painted. */
  readonly start: string;
  readonly startColumns: number;
  /** Start of each further line, painted. */
  readonly indent: string;
  readonly indentColumns: number;
  /** Terminal width; undefined if lines may have any length. */
  readonly width?: number | undefined;
}

/**
 * Lays phrases out after `start`, on as many lines as they need: nothing is cut. A phrase that does
 * not fit goes to the next line, between words if it is longer than that. A word longer than a line
 * stays whole, so that it can be copied.
 */
export function flow(phrases: readonly Phrase[], { start, startColumns, indent, indentColumns, width }: Flow): string {
  let text = start;
  if (width === undefined) {
    for (const phrase of phrases) text += ' '.repeat(phrase.gap) + painted(phrase.text, phrase);
    return text;
  }
  let used = startColumns;
  let isFresh = false;
  const place = (part: string, columns: number, phrase: Phrase): void => {
    const between = isFresh ? 0 : phrase.gap;
    text += ' '.repeat(between) + painted(part, phrase);
    used += between + columns;
    isFresh = false;
  };
  const fits = (columns: number, gap: number): boolean => used + (isFresh ? 0 : gap) + columns <= width;
  const begin = (): void => {
    text += `\n${indent}`;
    used = indentColumns;
    isFresh = true;
  };
  const placeWords = (phrase: Phrase): void => {
    for (const [at, word] of phrase.text.split(' ').entries()) {
      const gap = at === 0 ? phrase.gap : 1;
      const columns = displayWidth(word);
      if (!fits(columns, gap) && !isFresh) begin();
      place(word, columns, { ...phrase, gap, paintFirst: at === 0 ? phrase.paintFirst : undefined });
    }
  };
  for (const phrase of phrases) {
    const columns = displayWidth(phrase.text);
    if (fits(columns, phrase.gap)) place(phrase.text, columns, phrase);
    else if (indentColumns + columns > width) placeWords(phrase);
    else {
      begin();
      place(phrase.text, columns, phrase);
    }
  }
  return text;
}

/** Paints `text`, which is a phrase or its beginning. */
export function painted(text: string, { paint, paintFirst }: Omit<Phrase, 'text' | 'gap'>): string {
  if (paintFirst !== undefined) return text.replace(/^\S+/, paintFirst);
  return paint === undefined ? text : paint(text);
}
