import type { Colors } from './colors.js';

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
