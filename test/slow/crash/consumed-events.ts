/** The name of the consumer that is killed, and whose events it handles. */
export const CONSUMER = 'killed';
export const HANDLED_ACTOR = 'wanted';

/** What one run of a consumer did, by seq and in order. */
export interface ConsumerRun {
  readonly handled: readonly number[];
  readonly acknowledged: readonly number[];
}

/** Returns what each of `rounds` runs wrote into its diary. */
export function runsOf(diary: string, rounds: number): ConsumerRun[] {
  const lines = diary.split('\n').map((line) => line.split(' '));
  const seqs = (round: number, what: string): number[] =>
    lines.filter(([of, did]) => of === `${round}` && did === what).map(([, , seq]) => Number(seq));
  return Array.from({ length: rounds }, (_, round) => ({
    handled: seqs(round, 'handled'),
    acknowledged: seqs(round, 'acknowledged'),
  }));
}

/**
 * What is wrong with the runs of a consumer that was to handle `wanted`: events left out, out of order, or given again
 * although they were acknowledged. Empty when all is well.
 */
export function wrongRuns(runs: readonly ConsumerRun[], wanted: readonly number[]): string[] {
  const wrong: string[] = [];
  const placeOf = new Map(wanted.map((seq, place) => [seq, place]));
  let handled = 0;
  let acknowledged = 0;
  for (const [round, run] of runs.entries()) {
    let place = placeOf.get(run.handled[0] ?? Number.NaN);
    if (place !== undefined && place < acknowledged) wrong.push(`run ${round} handles an acknowledged event again`);
    if (place !== undefined && place > handled) wrong.push(`run ${round} leaves ${place - handled} events out`);
    for (const seq of run.handled) {
      if (seq !== wanted[place ?? -1]) wrong.push(`run ${round} handles ${seq} out of order`);
      place = (placeOf.get(seq) ?? -1) + 1;
      handled = Math.max(handled, place);
    }
    for (const seq of run.acknowledged) acknowledged = Math.max(acknowledged, (placeOf.get(seq) ?? -1) + 1);
  }
  if (handled < wanted.length) wrong.push(`${wanted.length - handled} events at the end were never handled`);
  return wrong;
}
