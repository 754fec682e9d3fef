import type { Clock, Measured, Target } from './benchmark.js';
import type { Figure } from './rounds.js';

/** Median, range, and the quartiles, between which the middle half of the rounds lies. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly quartiles: readonly [lower: number, upper: number];
}

/** Returns the spread of `values`, which must not be empty. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantileOf(sorted, 0.5),
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    quartiles: [quantileOf(sorted, 0.25), quantileOf(sorted, 0.75)],
  };
}

/** Interpolates between the two nearest of the `sorted` values. */
function quantileOf(sorted: readonly number[], part: number): number {
  const place = part * (sorted.length - 1);
  const [lower, upper] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number];
  return lower + (upper - lower) * (place - Math.floor(place));
}

/** Returns the smallest value that `percent` of `values` do not exceed; must not be empty. */
export function percentileOf(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
}

/** Returns the numbers of `figures` by `clock`: plain ones count as wall; undefined if not timed. */
export function valuesBy(clock: Clock, figures: readonly Figure[]): number[] | undefined {
  const values = figures.map((figure) => {
    if (typeof figure === 'number') return clock === 'wall' ? figure : undefined;
    return figure[clock];
  });
  return values.every((value) => value !== undefined) ? values : undefined;
}

/** Returns the spread of our numbers by `clock`; undefined if they have none. */
export function oursOf({ ours }: Measured, clock: Clock = 'wall'): Spread | undefined {
  const values = valuesBy(clock, ours);
  return values === undefined ? undefined : spreadOf(values);
}

/** Returns the spread of the ratios of ours to the peer's, round by round, by `clock`; undefined without a peer or such times. */
export function ratioOf({ ours, peer }: Measured, clock: Clock = 'wall'): Spread | undefined {
  const [our, their] = [valuesBy(clock, ours), valuesBy(clock, peer?.values ?? [])];
  if (peer === undefined || our === undefined || their === undefined) return undefined;
  return spreadOf(our.map((value, round) => value / (their[round] as number)));
}

/** A number that a target is about. */
export interface Found {
  readonly figure: number;
  /** Of the rounds: of ours, or of their ratios. */
  readonly range: Spread;
  /** Whether the range is wider than `WIDEST_RANGE`, and the number says too little. */
  readonly isTooWide: boolean;
}

/** A number that a target judges. */
export interface Judged extends Found {
  readonly clock: Clock;
  /** How far it exceeds a positive target: 1 meets it, 2 is twice as good. */
  readonly attainment: number;
  readonly isMet: boolean;
}

/** Returns the number that a target is about, ours or the ratio, by `clock`; undefined when it was not measured. */
export function foundOf(measured: Measured, of: Target['of'], clock: Clock): Found | undefined {
  const range = of === 'ours' ? oursOf(measured, clock) : ratioOf(measured, clock);
  return range && { figure: range.median, range, isTooWide: isWide(range) };
}

/** Returns the judged numbers, one per clock of the target; empty without a target. */
export function judgedOf(measured: Measured): Judged[] {
  const { target } = measured;
  if (target === undefined) return [];
  const clocks: readonly Clock[] = target.by === 'both' ? ['wall', 'cpu'] : [target.by ?? 'wall'];
  return clocks.map((clock) => {
    const found = foundOf(measured, target.of, clock);
    if (found === undefined) throw new RangeError(`${measured.name} has a target and no ${target.of} by ${clock}`);
    const { figure } = found;
    const isAtLeast = target.bound === 'at least';
    return {
      ...found,
      clock,
      attainment: isAtLeast ? figure / target.value : target.value / figure,
      isMet: isAtLeast ? figure >= target.value : figure <= target.value,
    };
  });
}

/** Returns whether the target is met by each of its clocks; undefined without one. */
export function isMet(measured: Measured): boolean | undefined {
  const judged = judgedOf(measured);
  return judged.length === 0 ? undefined : judged.every((each) => each.isMet);
}

/** Upper quartile over the lower one above which a line is measured again. */
const WIDEST_RANGE = 1.25;

function isWide({ quartiles: [lower, upper] }: Spread): boolean {
  // What may be below zero, such as a heap's growth, has no such factor.
  return lower > 0 && upper > lower * WIDEST_RANGE;
}

/** Returns whether what is judged is too wide, by any of its clocks. Never without a target. */
export function isTooWide(measured: Measured): boolean {
  return judgedOf(measured).some((each) => each.isTooWide);
}

/** A size and its measurement, both positive. */
export interface Point {
  readonly size: number;
  readonly value: number;
}

/** Returns the growth exponent, a least-squares slope: 0 constant, 1 linear. Needs two sizes. */
export function slopeOf(points: readonly Point[]): number {
  const logarithms = points.map(({ size, value }) => [Math.log(size), Math.log(value)] as const);
  const mean = (index: 0 | 1): number => logarithms.reduce((sum, each) => sum + each[index], 0) / points.length;
  const [meanSize, meanValue] = [mean(0), mean(1)];
  const variance = logarithms.reduce((sum, [size]) => sum + (size - meanSize) ** 2, 0);
  if (!(variance > 0)) throw new RangeError('points must be of at least two sizes');
  return logarithms.reduce((sum, [size, value]) => sum + (size - meanSize) * (value - meanValue), 0) / variance;
}

/**
 * Returns the larger of two slopes: over all points and over the two largest sizes. A fixed cost
 * dominating small sizes flattens the first and hides the growth of large ones.
 */
export function steepestSlopeOf(points: readonly Point[]): number {
  const sizes = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
  const last = points.filter(({ size }) => sizes.slice(-2).includes(size));
  return Math.max(slopeOf(points), slopeOf(last));
}
