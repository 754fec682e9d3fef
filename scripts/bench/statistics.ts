import type { Measured } from './benchmark.js';

/** Median and range. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Returns the spread of `values`, which must not be empty. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** Returns the smallest value that `percent` of `values` do not exceed; must not be empty. */
export function percentileOf(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError('values must not be empty');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
}

/** Returns the spread of the per-round ratios of ours to the peer's; undefined without a peer. */
export function ratioOf({ ours, peer }: Measured): Spread | undefined {
  if (peer === undefined) return undefined;
  return spreadOf(ours.map((value, round) => value / (peer.values[round] as number)));
}

/** Returns the judged spread; undefined without a target. */
export function judgedOf(measured: Measured): Spread | undefined {
  const { target } = measured;
  if (target === undefined) return undefined;
  const judged = target.of === 'ours' ? spreadOf(measured.ours) : ratioOf(measured);
  if (judged === undefined) throw new RangeError(`${measured.name} has a target for its ratio and no peer`);
  return judged;
}

/** Returns how far a positive median exceeds its target: 1 meets it, 2 is twice as good. */
export function attainmentOf(measured: Measured): number | undefined {
  const judged = judgedOf(measured);
  const { target } = measured;
  if (judged === undefined || target === undefined) return undefined;
  return target.bound === 'at least' ? judged.median / target.value : target.value / judged.median;
}

/** Returns whether the target is met; undefined without one. */
export function isMet(measured: Measured): boolean | undefined {
  const judged = judgedOf(measured);
  const { target } = measured;
  if (judged === undefined || target === undefined) return undefined;
  return target.bound === 'at least' ? judged.median >= target.value : judged.median <= target.value;
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
