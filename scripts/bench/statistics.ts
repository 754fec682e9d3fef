import type { Measured } from './benchmark.js';

/** The middle of some numbers, and how far they spread. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Returns the spread of `values`, of which there is at least one. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** Returns the smallest of `values` that `percent` of them do not exceed; there is at least one. */
export function percentileOf(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
}

/** Returns the spread of the ratios of ours to the peer's, each of one round; undefined without a peer. */
export function ratioOf({ ours, peer }: Measured): Spread | undefined {
  if (peer === undefined) return undefined;
  return spreadOf(ours.map((value, round) => value / (peer.values[round] as number)));
}

/** Returns what a line is judged by; undefined when it has no target. */
export function judgedOf(measured: Measured): Spread | undefined {
  const { target } = measured;
  if (target === undefined) return undefined;
  const judged = target.of === 'ours' ? spreadOf(measured.ours) : ratioOf(measured);
  if (judged === undefined) throw new RangeError(`${measured.name} has a target for its ratio and no peer`);
  return judged;
}

/**
 * Returns how far the median of a line is beyond its target: 1 just meets it, 2 is twice as good; undefined when it has none.
 * It is meant for what is above 0.
 */
export function attainmentOf(measured: Measured): number | undefined {
  const judged = judgedOf(measured);
  const { target } = measured;
  if (judged === undefined || target === undefined) return undefined;
  return target.bound === 'at least' ? judged.median / target.value : target.value / judged.median;
}

/** Whether a line reaches its target; undefined when it has none. */
export function isMet(measured: Measured): boolean | undefined {
  const judged = judgedOf(measured);
  const { target } = measured;
  if (judged === undefined || target === undefined) return undefined;
  return target.bound === 'at least' ? judged.median >= target.value : judged.median <= target.value;
}

/** A size and what was measured there, both above 0. */
export interface Point {
  readonly size: number;
  readonly value: number;
}

/**
 * Returns the power of the size that the values grow with: the slope of the line through the logarithms of both that has
 * the least squares. 0 does not grow, 1 grows as the size does. There are points of at least two sizes.
 */
export function slopeOf(points: readonly Point[]): number {
  const logarithms = points.map(({ size, value }) => [Math.log(size), Math.log(value)] as const);
  const mean = (index: 0 | 1): number => logarithms.reduce((sum, each) => sum + each[index], 0) / points.length;
  const [meanSize, meanValue] = [mean(0), mean(1)];
  const variance = logarithms.reduce((sum, [size]) => sum + (size - meanSize) ** 2, 0);
  if (!(variance > 0)) throw new RangeError('points must be of at least two sizes');
  return logarithms.reduce((sum, [size, value]) => sum + (size - meanSize) * (value - meanValue), 0) / variance;
}

/**
 * Returns the larger of two slopes: of the line through all points, and of that through those of the two largest sizes. A fixed cost that
 * the small sizes consist of makes the first one flat, and hides in it how the large ones grow.
 */
export function steepestSlopeOf(points: readonly Point[]): number {
  const sizes = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
  const last = points.filter(({ size }) => sizes.slice(-2).includes(size));
  return Math.max(slopeOf(points), slopeOf(last));
}
