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
  readonly markdown: string | undefined;
  /** How often a case is run again at most, because a range was too wide; 0 if nothing is judged. */
  readonly repeats: number;
  readonly sizes: Pick<BenchContext, 'rounds' | 'scale' | 'logSizes' | 'imageCounts' | 'fresh'>;
}

type Sizes = Omit<BenchOptions['sizes'], 'fresh'>;

/** The sizes that targets are for. Below seven rounds nothing is judged. */
const WHOLE: Sizes = {
  rounds: { warmUp: 1, counted: 7 },
  scale: 1,
  logSizes: [10_000, 100_000, 1_000_000],
  imageCounts: [1_000, 10_000, 100_000, 1_000_000],
};
/** What is too wide still is marked. */
const REPEATS = 2;
/** Shows a direction. */
const QUICK: Sizes = {
  rounds: { warmUp: 1, counted: 3 },
  scale: 0.1,
  logSizes: [10_000],
  imageCounts: [1_000, 10_000],
};
/** Only runs every line of every case. */
const SMOKE: Sizes = {
  rounds: { warmUp: 0, counted: 1 },
  scale: 0.01,
  // A smaller one has not every name that is asked for.
  logSizes: [10_000],
  imageCounts: [100, 1_000],
};

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  smoke: { type: 'boolean', default: false },
  fresh: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  svg: { type: 'string' },
  markdown: { type: 'string' },
  repeats: { type: 'string' },
  rounds: { type: 'string' },
  largest: { type: 'string' },
} as const;

/** Usage text of the options. */
export const OPTIONS_USAGE = `  --quick      a tenth of the sizes, fewer rounds, and the smallest stores: nothing is judged
  --smoke      every case with tiny sizes, one round: whether they run; nothing is judged
  --fresh      make the stores again that an earlier run left in the folder for temporary files
  --json       one JSON object a line
  --svg FILE   draw the targets, and how things grow, into FILE
  --markdown FILE  put the targets, and what was found, into FILE: a table between its two marks
  --repeats N  run a case again at most N times if a range is too wide; 2 unless given
  --rounds N   rounds that count, after one to warm up; 7 unless given, 3 in a quick run; below 7 nothing is judged
  --largest N  leave out stores of more than N images or events, where cases measure several sizes`;

/**
 * Parses `argv`.
 * @throws {TypeError} for an unknown option; {RangeError} for options that exclude each other, and
 *   for a number that is invalid or below 1
 */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const { quick, smoke, fresh, json, help, svg, markdown } = values;
  if (quick && smoke) throw new RangeError('--quick and --smoke exclude each other');
  const sizes = smoke ? SMOKE : quick ? QUICK : WHOLE;
  const counted = countOf('rounds', values.rounds) ?? sizes.rounds.counted;
  const largest = countOf('largest', values.largest) ?? Number.POSITIVE_INFINITY;
  const isJudged = sizes === WHOLE && counted >= WHOLE.rounds.counted;
  if (markdown !== undefined && !isJudged) throw new RangeError('--markdown needs a run that is judged');
  return {
    names: positionals,
    help,
    json,
    isJudged,
    svg,
    markdown,
    repeats: isJudged ? (countOf('repeats', values.repeats, 0) ?? REPEATS) : 0,
    sizes: {
      rounds: { warmUp: sizes.rounds.warmUp, counted },
      scale: sizes.scale,
      logSizes: sizes.logSizes.filter((size) => size <= largest),
      imageCounts: sizes.imageCounts.filter((size) => size <= largest),
      fresh,
    },
  };
}

function countOf(option: string, text: string | undefined, least = 1): number | undefined {
  if (text === undefined) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= least)) throw new RangeError(`--${option} needs a whole number from ${least}, found ${text}`);
  return count;
}
