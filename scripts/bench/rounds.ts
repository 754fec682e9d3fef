/** Does one round of work and returns the result, usually a rate, time or size. */
export type Side<Result = number> = (round: number) => Promise<Result> | Result;

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
export async function interleave<Name extends string, Result = number>(
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

/** Returns the seconds that `work` takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}
