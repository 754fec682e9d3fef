import { printable } from './printable.js';

/**
 * Returns `value` as JSON, on one line or indented by `indent` spaces. Every
 * control character is an escape, so that the text is safe on a terminal and
 * parses to the same value.
 */
export function jsonText(value: unknown, indent = 0): string {
  const lines = JSON.stringify(value, undefined, indent).split('\n');
  return lines.map(printable).join('\n');
}
