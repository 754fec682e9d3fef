import pico from 'picocolors';
import type { OutputStream } from '../io.js';

/** Functions that paint a text; they return it as it is when there is no colour. */
export type Colors = ReturnType<typeof pico.createColors>;

/** One function of Colors. */
export type Paint = (text: string) => string;

/**
 * Returns the colours for `stream`: none unless it is a terminal that has them,
 * none with NO_COLOR (https://no-color.org) or `wanted` false, always with FORCE_COLOR.
 */
export function colorsFor(
  stream: OutputStream,
  env: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Colors {
  if (!wanted || isSet(env['NO_COLOR'])) return pico.createColors(false);
  const isColorTerminal = stream.isTTY === true && env['TERM'] !== 'dumb';
  return pico.createColors(isColorTerminal || (isSet(env['FORCE_COLOR']) && env['FORCE_COLOR'] !== '0'));
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
