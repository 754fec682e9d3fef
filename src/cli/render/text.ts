import { styleText } from 'node:util';
import { printable } from '../../model/texts.js';
import type { OutputStream } from '../output.js';
import { nonEmpty } from '../settings.js';

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
