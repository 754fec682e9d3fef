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

/** Whether a line reaches its target; undefined when it has none. */
export function isMet(measured: Measured): boolean | undefined {
  const { target } = measured;
  if (target === undefined) return undefined;
  const judged = target.of === 'ours' ? spreadOf(measured.ours) : ratioOf(measured);
  if (judged === undefined) throw new RangeError(`${measured.name} has a target for its ratio and no peer`);
  return target.bound === 'at least' ? judged.median >= target.value : judged.median <= target.value;
}
