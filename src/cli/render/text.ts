import { styleText } from 'node:util';
import type { Digest } from '../../model/digest.js';
import type { Envelope } from '../../model/events.js';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../model/time-zone.js';
import { replaceUnseen } from '../../model/unseen.js';
import type { OutputStream } from '../output.js';
import { nonEmpty } from '../settings.js';

/** Escapes (`\u001b`) what a terminal obeys or hides; required for archive and log text. */
export function printable(text: string): string {
  return replaceUnseen(text, escaped);
}

/** Returns from where and how a write came, escaped: `via registry from 192.0.2.7`; empty for none. */
export function routeText({ via = '', address = '' }: Pick<Envelope, 'via' | 'address'>): string {
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

/**
 * Formats `value` as JSON, on one line or indented by `indent` spaces. Control characters are
 * escaped: safe on a terminal, and parses to the same value.
 */
export function jsonText(value: unknown, indent = 0): string {
  const lines = JSON.stringify(value, undefined, indent).split('\n');
  return lines.map(printable).join('\n');
}

/** Styles a text; the identity without colors. */
export type Paint = (text: string) => string;

const STYLES = ['bold', 'dim', 'red', 'green', 'yellow', 'magenta', 'cyan'] as const;

/** A paint for each style, and whether they paint. */
export type Colors = Readonly<Record<(typeof STYLES)[number], Paint>> & { readonly isColorSupported: boolean };

/** Creates the styles; without `isColorSupported` all are the identity. */
export function createColors(isColorSupported: boolean): Colors {
  // `colorsFor` decides about colors, not Node.
  const painted = STYLES.map((style): [string, Paint] => [
    style,
    isColorSupported ? (text) => styleText(style, text, { validateStream: false }) : (text) => text,
  ]);
  return { ...(Object.fromEntries(painted) as Record<(typeof STYLES)[number], Paint>), isColorSupported };
}

/**
 * Returns the colors for `stream`: none if it lacks them, with NO_COLOR (https://no-color.org) or
 * if `wanted` is false; always with FORCE_COLOR.
 */
export function colorsFor(
  stream: OutputStream,
  env: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Colors {
  if (!wanted || nonEmpty(env['NO_COLOR']) !== undefined) return createColors(false);
  const isColorTerminal = stream.isTTY === true && env['TERM'] !== 'dumb';
  return createColors(isColorTerminal || (nonEmpty(env['FORCE_COLOR']) ?? '0') !== '0');
}

/** Matches the start of a string, or any other whole token. */
const TOKEN = /"|\b(true|false|null)\b|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g;
const COLON = /\s*:/y;

/** Colors keys, strings and other values of JSON text; the identity without colors. */
export function paintJson(text: string, colors: Colors): string {
  if (!colors.isColorSupported) return text;
  let painted = '';
  let at = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token, word] = match;
    painted += text.slice(at, match.index);
    // Scanned by hand: a regex with alternation in a loop overflows the stack on strings of some
    // megabytes.
    at = token === '"' ? endOfString(text, match.index) : TOKEN.lastIndex;
    if (token === '"') painted += paintString(text, match.index, at, colors);
    else painted += word === undefined ? colors.yellow(token) : colors.magenta(token);
    TOKEN.lastIndex = at;
  }
  return painted + text.slice(at);
}

function paintString(text: string, start: number, end: number, colors: Colors): string {
  const string = text.slice(start, end);
  COLON.lastIndex = end;
  return COLON.test(text) ? colors.cyan(string) : colors.green(string);
}

/** Returns where the JSON string that starts at `start` ends, after its quote. */
export function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '"') return at + 1;
  }
  return text.length;
}
