/** Does one round of its work and returns what came of it, most often a number: a rate, a time, a size. */
export type Side<Result = number> = (round: number) => Promise<Result> | Result;

/**
 * Runs `sides` in turn, round by round, each round in the opposite order of the last, so that what the
 * machine does meanwhile falls on all of them. Returns what came of each side.
 */
export async function interleave<Name extends string, Result = number>(
  rounds: number,
  sides: Readonly<Record<Name, Side<Result>>>,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(sides) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]])) as Record<Name, Result[]>;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : [...names].reverse();
    for (const name of order) results[name].push(await sides[name](round));
  }
  return results;
}

/** Returns the seconds that `work` takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}
