import type { Digest } from './digest.js';
import type { Envelope } from './events.js';
import { DAY_MS, HOUR_MS, MINUTE_MS } from './time-zone.js';

/*
 * Characters a terminal obeys or does not show: control characters, line separators, lone
 * surrogates, all Unicode format or default-ignorable characters (zero width, direction, soft
 * hyphen, variation selectors, tags, Hangul fillers …) and the blank Braille pattern. Unescaped,
 * they make different names look the same.
 */
const UNSEEN = '[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Cf}\\p{Default_Ignorable_Code_Point}\\u2800]';

/*
 * Exceptions. Emoji on Unicode's list keep joiners, tags and selector: changing one gives another
 * emoji, or none. A joiner after a virama selects the form of an Indic consonant (RFC 5892,
 * appendix A). Any other joiner is escaped, in Persian too: JavaScript cannot tell which letters
 * join, and elsewhere it is invisible.
 */
const VIRAMAS = '\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca';
const NEEDED = `\\p{RGI_Emoji}|(?<=[${VIRAMAS}])[\\u200c\\u200d](?=\\p{L})`;

/** Most texts, which need no table of Unicode. */
const PLAIN = /^[\x20-\x7e]*$/;

// Compiled on first use: the properties take a millisecond, the list of emoji another.
let anyUnseen: RegExp | undefined;
let neededOrUnseen: RegExp | undefined;

/** Returns `text` with each character that a terminal obeys or hides replaced by what `replace` gives. */
function replaceUnseen(text: string, replace: (character: string) => string): string {
  if (PLAIN.test(text)) return text;
  anyUnseen ??= new RegExp(UNSEEN, 'v');
  if (!anyUnseen.test(text)) return text;
  neededOrUnseen ??= new RegExp(`(${NEEDED})|${UNSEEN}`, 'gv');
  return text.replace(neededOrUnseen, (characters, needed?: string) => needed ?? replace(characters));
}

/** Returns whether a terminal shows all of `text` as is. Line feeds and tabs are allowed. */
export function isPrintable(text: string): boolean {
  const shown = text.replace(/[\n\t]/g, '');
  return replaceUnseen(shown, () => '') === shown;
}

/* Texts that the command line and the page share. */

/** Escapes (`\u001b`) what a terminal obeys or hides; required for archive and log text. */
export function printable(text: string): string {
  return replaceUnseen(text, escaped);
}

/** Returns from where and how a write came, escaped: `via registry from 192.0.2.7`; empty for none. */
export function routeText({ via = '', address = '' }: Partial<Pick<Envelope, 'via' | 'address'>>): string {
  const parts = [via === '' ? '' : `via ${printable(via)}`, address === '' ? '' : `from ${printable(address)}`];
  return parts.filter((part) => part !== '').join(' ');
}

/** Escapes like JSON: two escapes for characters beyond U+FFFF. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Hex digits of an id in a table, as in Docker. */
export const SHORT_ID_LENGTH = 12;

/** Returns the first hex digits of `digest`, as in Docker. */
export function shortId(digest: Digest): string {
  const start = digest.indexOf(':') + 1;
  return digest.slice(start, start + SHORT_ID_LENGTH);
}

/** Placeholder for a missing reference or time. */
export const NONE = '<none>';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Formats bytes like Docker: decimal units, three significant digits, `1.23 MB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would round to 1000, so it takes the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? String(value) : String(Number(value.toPrecision(3)));
  return `${digits} ${UNITS[unit]}`;
}

/** Formats a count: `1 layer`, `2 layers`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Formats ms since the epoch as RFC 3339 in UTC with milliseconds, as used in JSON output. */
export function utcText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Formats a duration roughly: `45 s`, `12 min`, `5 h`, `3 days`. */
export function durationText(durationMs: number): string {
  if (durationMs < MINUTE_MS) return `${Math.floor(durationMs / 1000)} s`;
  if (durationMs < HOUR_MS) return `${Math.floor(durationMs / MINUTE_MS)} min`;
  if (durationMs < 2 * DAY_MS) return `${Math.floor(durationMs / HOUR_MS)} h`;
  return `${Math.floor(durationMs / DAY_MS)} days`;
}

/** Formats a platform like Docker: `linux/arm64/v8`. */
export function platformText({
  os,
  architecture,
  variant,
}: {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | null | undefined;
}): string {
  return [os, architecture, variant].filter((part) => part != null && part !== '').join('/');
}
