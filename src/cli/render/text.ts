import { styleText } from 'node:util';
import type { Digest } from '../../model/digest.js';
import type { OutputStream } from '../output.js';

/*
 * What a terminal obeys, or shows nothing of: control characters, separators that end a line, halves of surrogate pairs,
 * all that Unicode calls a format or lets a font ignore (zero width, direction, soft hyphen, variation selectors, tags,
 * Hangul fillers …), and the Braille pattern without dots. Two names that look the same would be told apart by nothing else.
 */
const UNSEEN = '[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Cf}\\p{Default_Ignorable_Code_Point}\\u2800]';

/*
 * What some of them are needed for. An emoji of Unicode's list keeps its joiners, tags and selector: with one of them
 * less or more it is another emoji, or none of the list. A joiner after a virama chooses the form of an Indic
 * consonant (RFC 5892, appendix A). A joiner anywhere else is escaped, in Persian too: JavaScript does not tell
 * which letters join, and beside the others it cannot be seen.
 */
const VIRAMAS = '\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca';
const NEEDED = `\\p{RGI_Emoji}|(?<=[${VIRAMAS}])[\\u200c\\u200d](?=\\p{L})`;

const ANY_UNSEEN = new RegExp(UNSEEN, 'v');
/** Made when it is needed first: the list of emoji takes a millisecond. */
let neededOrUnseen: RegExp | undefined;

/**
 * Returns `text` with every character that a terminal would obey rather than
 * show, or that nobody would see, written as `\u001b`. What came from an archive or from the log passes
 * through here before a person sees it.
 */
export function printable(text: string): string {
  if (!ANY_UNSEEN.test(text)) return text;
  neededOrUnseen ??= new RegExp(`(${NEEDED})|${UNSEEN}`, 'gv');
  return text.replace(neededOrUnseen, (characters, needed?: string) => needed ?? escaped(characters));
}

/** Whether a terminal shows every character of `text` as it is. Line feeds and tabs count as shown. */
export function isPrintable(text: string): boolean {
  const shown = text.replace(/[\n\t]/g, '');
  return printable(shown) === shown;
}

/** As JSON escapes it: a character beyond U+FFFF as two. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Hex digits of an id in a table, as Docker shows them. */
export const SHORT_ID_LENGTH = 12;

/** Returns the first hex digits of `digest`, as Docker shows an id. */
export function shortId(digest: Digest): string {
  const start = digest.indexOf(':') + 1;
  return digest.slice(start, start + SHORT_ID_LENGTH);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Returns a size in bytes as Docker shows it: decimal units, three significant digits, `1.23 MB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would be written 1000: it belongs to the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? String(value) : String(Number(value.toPrecision(3)));
  return `${digits} ${UNITS[unit]}`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Returns a moment, ms since the epoch, as RFC 3339 in UTC with milliseconds: what JSON output has. */
export function utcText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Returns a moment, ms since the epoch, as `2026-01-31 14:05:09` in `timeZone`, by default the machine's. */
export function localText(timeMs: number, timeZone?: string): string {
  const parts = new Map<string, string>();
  for (const { type, value } of formatFor(timeZone).formatToParts(timeMs)) parts.set(type, value);
  const part = (name: string): string => parts.get(name) ?? '';
  const date = `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
  return `${date} ${part('hour')}:${part('minute')}:${part('second')}`;
}

/** Returns a moment as `localText` does, without the seconds. */
export function localMinuteText(timeMs: number, timeZone?: string): string {
  return localText(timeMs, timeZone).slice(0, -':00'.length);
}

/** Returns a length of time roughly, as one says it: `45 s`, `12 min`, `5 h`, `3 days`. */
export function durationText(durationMs: number): string {
  if (durationMs < MINUTE_MS) return `${Math.floor(durationMs / 1000)} s`;
  if (durationMs < HOUR_MS) return `${Math.floor(durationMs / MINUTE_MS)} min`;
  if (durationMs < 2 * DAY_MS) return `${Math.floor(durationMs / HOUR_MS)} h`;
  return `${Math.floor(durationMs / DAY_MS)} days`;
}

const formats = new Map<string | undefined, Intl.DateTimeFormat>();

// Making a format costs about 50 µs, using one about 1 µs, and a log has a time on every line.
function formatFor(timeZone: string | undefined): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    ...(timeZone === undefined ? {} : { timeZone }),
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  formats.set(timeZone, made);
  return made;
}

/**
 * Returns `value` as JSON, on one line or indented by `indent` spaces. Every
 * control character is an escape, so that the text is safe on a terminal and
 * parses to the same value.
 */
export function jsonText(value: unknown, indent = 0): string {
  const lines = JSON.stringify(value, undefined, indent).split('\n');
  return lines.map(printable).join('\n');
}

/** Paints a text; returns it as it is when there is no colour. */
export type Paint = (text: string) => string;

const STYLES = ['bold', 'dim', 'red', 'green', 'yellow', 'magenta', 'cyan'] as const;

/** The styles of the command line. */
export type Colors = Readonly<Record<(typeof STYLES)[number], Paint>> & { readonly isColorSupported: boolean };

/** Returns the styles; without `isColorSupported` they change nothing. */
export function createColors(isColorSupported: boolean): Colors {
  // Whether the stream has colours is decided by `colorsFor`, not by Node.
  const painted = STYLES.map((style): [string, Paint] => [
    style,
    isColorSupported ? (text) => styleText(style, text, { validateStream: false }) : (text) => text,
  ]);
  return { ...(Object.fromEntries(painted) as Record<(typeof STYLES)[number], Paint>), isColorSupported };
}

/**
 * Returns the colours for `stream`: none unless it is a terminal that has them,
 * none with NO_COLOR (https://no-color.org) or `wanted` false, always with FORCE_COLOR.
 */
export function colorsFor(
  stream: OutputStream,
  env: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Colors {
  if (!wanted || isSet(env['NO_COLOR'])) return createColors(false);
  const isColorTerminal = stream.isTTY === true && env['TERM'] !== 'dumb';
  return createColors(isColorTerminal || (isSet(env['FORCE_COLOR']) && env['FORCE_COLOR'] !== '0'));
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

/** The beginning of a string, or another token whole. */
const TOKEN = /"|\b(true|false|null)\b|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g;
const COLON = /\s*:/y;

/** Returns JSON text with its keys, strings and other values in different colours; as it is without colours. */
export function paintJson(text: string, colors: Colors): string {
  if (!colors.isColorSupported) return text;
  let painted = '';
  let at = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token, word] = match;
    painted += text.slice(at, match.index);
    // Not by a pattern: those with a choice in a loop overflow the stack in a string of some megabytes.
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

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '"') return at + 1;
  }
  return text.length;
}
