const NEEDS_ESCAPE = /["\\<>&\u2028\u2029\p{Cc}\p{Surrogate}]/u;
const ESCAPED = /["\\<>&\u2028\u2029\p{Cc}\p{Surrogate}]/gu;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/**
 * Returns `text` as a JSON string, to the byte as Go's json.Marshal (before Go 1.22) writes it: `<`, `>`, `&`, U+2028,
 * U+2029 and control characters in the `\u` form, `\n`, `\r` and `\t` short.
 */
export function quoteJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replace(ESCAPED, escapeCharacter)}"` : `"${text}"`;
}

function escapeCharacter(character: string): string {
  const short = SHORT.get(character);
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  // The upper control characters are among the matched ones, and written as they are.
  if (code >= 0x7f && code <= 0x9f) return character;
  // Half a surrogate pair has no UTF-8 form; Go writes what is no UTF-8 so.
  return code >= 0xd800 && code <= 0xdfff ? '\\ufffd' : `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * Compares two strings as their UTF-8 bytes compare, which is the order of map keys in
 * Go's JSON: negative, zero or positive. JavaScript's own order puts U+E000 to U+FFFF after what lies above them.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return utf8Rank(left) - utf8Rank(right);
  }
  return a.length - b.length;
}

function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
