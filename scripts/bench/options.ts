import { parseArgs } from 'node:util';
import type { BenchContext } from './benchmark.js';

/** Parsed command line. */
export interface BenchOptions {
  /** Benchmarks by name; empty for all. */
  readonly names: readonly string[];
  readonly help: boolean;
  readonly json: boolean;
  /** Whether sizes and rounds suffice to judge targets. */
  readonly isJudged: boolean;
  readonly svg: string | undefined;
  readonly sizes: Pick<BenchContext, 'rounds' | 'scale' | 'logSizes' | 'imageCounts' | 'fresh'>;
}

/** Scale of a quick run: shows a direction, too small to judge targets. */
const QUICK_SCALE = 0.1;
/** Log sizes in events; a quick run uses only the first. */
const LOG_SIZES = [10_000, 100_000, 1_000_000] as const;
/** Store sizes in images for growth; a quick run uses the first two. */
const IMAGE_COUNTS = [1_000, 10_000, 100_000, 1_000_000] as const;
/** Counted rounds; with fewer, nothing is judged. */
const ROUNDS = 7;
const QUICK_ROUNDS = 3;

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  fresh: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  svg: { type: 'string' },
  rounds: { type: 'string' },
  largest: { type: 'string' },
} as const;

/** Usage text of the options. */
export const OPTIONS_USAGE = `  --quick      a tenth of the sizes, fewer rounds, and the smallest stores: nothing is judged
  --fresh      make the stores again that an earlier run left in the folder for temporary files
  --json       one JSON object a line
  --svg FILE   draw the targets, and how things grow, into FILE
  --rounds N   rounds that count, after one to warm up; 7 unless given, 3 in a quick run; below 7 nothing is judged
  --largest N  leave out stores of more than N images or events, where cases measure several sizes`;

/**
 * Parses `argv`.
 * @throws {TypeError} for an unknown option; {RangeError} for a number that is invalid or below 1
 */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const { quick, fresh, json, help, svg } = values;
  const counted = countOf('rounds', values.rounds) ?? (quick ? QUICK_ROUNDS : ROUNDS);
  const largest = countOf('largest', values.largest) ?? Number.POSITIVE_INFINITY;
  const upTo = (sizes: readonly number[]): number[] => sizes.filter((size) => size <= largest);
  const sizes = {
    rounds: { warmUp: 1, counted },
    scale: quick ? QUICK_SCALE : 1,
    logSizes: upTo(quick ? LOG_SIZES.slice(0, 1) : LOG_SIZES),
    imageCounts: upTo(quick ? IMAGE_COUNTS.slice(0, 2) : IMAGE_COUNTS),
    fresh,
  };
  return { names: positionals, help, json, isJudged: !quick && counted >= ROUNDS, svg, sizes };
}

function countOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text)) throw new RangeError(`--${option} needs a whole number from 1, found ${text}`);
  return Number(text);
}
