/** Does one round of its work and returns its number: a rate, a time, a size. */
export type Side = (round: number) => Promise<number> | number;

/**
 * Runs `sides` in turn, round by round, each round in the opposite order of the last, so that what the
 * machine does meanwhile falls on all of them. Returns the numbers of each side.
 */
export async function interleave<Name extends string>(
  rounds: number,
  sides: Readonly<Record<Name, Side>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(sides) as Name[];
  const numbers = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : [...names].reverse();
    for (const name of order) numbers[name].push(await sides[name](round));
  }
  return numbers;
}

/** Returns the seconds that `work` takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}
