/** Does one round of its work and returns what came of it, most often a number: a rate, a time, a size. */
export type Side<Result = number> = (round: number) => Promise<Result> | Result;

/** How often each side does its work. */
export interface Rounds {
  /** Rounds at the beginning whose results are dropped: they compile the code and fill the caches. */
  readonly warmUp: number;
  /** Rounds that count. */
  readonly counted: number;
}

/** Returns how many rounds there are in all: a case that needs new input for each makes so many. */
export function totalRounds({ warmUp, counted }: Rounds): number {
  return warmUp + counted;
}

/** Returns twice as many rounds, for work so short that what a disk does to one sync in a hundred falls on some round. */
export function twiceAsMany({ warmUp, counted }: Rounds): Rounds {
  return { warmUp, counted: 2 * counted };
}

/**
 * Runs `sides` in turn, round by round, each round in the opposite order of the last, so that what the
 * machine does meanwhile falls on all of them. A side is told its round, from 0, those that warm up among them.
 * Returns what came of each side in the rounds that count.
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
