import type { Colors } from './colors.js';

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g;

/** Returns JSON text with its keys, strings and other values in different colours; as it is without colours. */
export function paintJson(text: string, colors: Colors): string {
  if (!colors.isColorSupported) return text;
  return text.replace(TOKEN, (token, quoted?: string, colon?: string, word?: string) => {
    if (quoted !== undefined) return colon === undefined ? colors.green(quoted) : `${colors.cyan(quoted)}${colon}`;
    return word === undefined ? colors.yellow(token) : colors.magenta(token);
  });
}
