import { displayWidth } from '../../src/cli/render/display-width.js';
import { cutDigests } from './cut-digests.js';

/** Formats a call as JavaScript, digests shortened; if too wide, splits off the last argument. */
export function callLines(name: string, args: readonly unknown[], columns: number): string[] {
  const sources = args.map(sourceOf);
  const whole = `${name}(${sources.join(', ')})`;
  if (displayWidth(whole) <= columns || sources.length < 2) return [whole];
  return [`${name}(${sources.slice(0, -1).join(', ')},`, `  ${sources.at(-1)})`];
}

function sourceOf(value: unknown): string {
  if (typeof value === 'string') return quoted(cutDigests(value));
  if (typeof value !== 'object' || value === null) return String(value);
  return `{ ${Object.entries(value)
    .map(([key, each]) => `${key}: ${sourceOf(each)}`)
    .join(', ')} }`;
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
