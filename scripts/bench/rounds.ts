import { processorSeconds, serverSeconds } from './processor-time.js';

/** What a round found, in one unit by two clocks: that of the wall, and processor time. */
export interface Timed {
  readonly wall: number;
  readonly cpu: number;
}

/** Result of a round: timed, or a plain number for what no clock measures, such as bytes. */
export type Figure = number | Timed;

/** Does one round of work and returns the result, usually a rate, time or size. */
export type Side<Result = Figure> = (round: number) => Promise<Result> | Result;

/** Rounds per side. */
export interface Rounds {
  /** Initial rounds to drop: they warm up code and caches. */
  readonly warmUp: number;
  readonly counted: number;
}

/** Returns the total number of rounds, for cases that need new input in each. */
export function totalRounds({ warmUp, counted }: Rounds): number {
  return warmUp + counted;
}

/** Doubles the rounds, for work so short that a rare slow disk sync distorts a round. */
export function twiceAsMany({ warmUp, counted }: Rounds): Rounds {
  return { warmUp, counted: 2 * counted };
}

/**
 * Runs `sides` in turn, reversing the order every round, so that machine noise hits all alike.
 * Sides get the round number, from 0 and including warm-up. Returns the results of counted rounds.
 */
export async function interleave<Name extends string, Result = Figure>(
  { warmUp, counted }: Rounds,
  sides: Readonly<Record<Name, Side<Result>>>,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(sides) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]])) as Record<Name, Result[]>;
  for (let round = 0; round < warmUp + counted; round++) {
    const order = round % 2 === 0 ? names : [...names].reverse();
    for (const name of order) {
      const result = await sides[name](round);
      if (round >= warmUp) results[name].push(result);
    }
  }
  return results;
}

/**
 * Returns the seconds that `work` takes, on the wall and of processors: of this process, of
 * children that end within it, and of the servers with the ids `others`.
 */
export async function timeOf(work: () => unknown, others: readonly number[] = []): Promise<Timed> {
  const before = processorSeconds(others);
  const start = performance.now();
  await work();
  const wall = (performance.now() - start) / 1_000;
  return { wall, cpu: processorSeconds(others) - before };
}

/** What takes less processor time is not known, and would be an infinite rate. */
const SHORTEST = 0.01;

/** As `timeOf`, with the processor time of the servers `pids` alone: their client is the same for all. */
export async function timeOfServer(work: () => unknown, pids: readonly number[]): Promise<Timed> {
  const before = serverSeconds(pids);
  const start = performance.now();
  await work();
  const wall = (performance.now() - start) / 1_000;
  return { wall, cpu: Math.max(serverSeconds(pids) - before, SHORTEST) };
}

/** Returns `count` a second, by each clock. */
export function rateOf(count: number, { wall, cpu }: Timed): Timed {
  return { wall: count / wall, cpu: count / cpu };
}

/** Returns `timed` in another unit: milliseconds of seconds by 1,000. */
export function scaled({ wall, cpu }: Timed, factor: number): Timed {
  return { wall: wall * factor, cpu: cpu * factor };
}
