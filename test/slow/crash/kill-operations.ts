import { startChild } from '../child.js';
import { checkStore, type CrashedStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';

const CHILD = new URL('./children/one-operation.js', import.meta.url);
const SHARE = 0.1;
const LEAST_ROUNDS = 15;

/** Returns the part that kills a process during one operation: at a moment between its beginning and the end of the close after it. */
export function killDuring(operation: string): (run: CrashRun) => Promise<void> {
  return async (run) => {
    const store = run.newStore();
    const rounds = run.rounds(SHARE, LEAST_ROUNDS);
    // Left alone once, to learn how long it takes.
    let longestMs = await oneRound(store, operation, 0, undefined);
    for (let round = 1; round <= rounds; round++) {
      const killAfterMs = run.random.below(Math.ceil(longestMs) + 1);
      const tookMs = await oneRound(store, operation, round, killAfterMs);
      run.figures.rounds += 1;
      // One that was too fast for the kill tells how fast it is.
      if (tookMs < killAfterMs) longestMs = tookMs;
      else run.figures.faults += 1;
      const { wrong } = await checkStore(store);
      run.note(`round ${round}, killed after ${killAfterMs} of ${Math.round(longestMs)} ms`, wrong);
      if (run.wrong.length > 0) break;
    }
    run.figures.acknowledged = store.recorded.done.size;
  };
}

/** Runs the operation; returns the ms from its beginning to the end of the process. */
async function oneRound(
  { directory, journal }: CrashedStore,
  operation: string,
  round: number,
  killAfterMs: number | undefined,
): Promise<number> {
  let begun = 0;
  let timer: NodeJS.Timeout | undefined;
  const child = startChild(CHILD, [directory, journal, operation, `${round}`], () => {
    begun = performance.now();
    if (killAfterMs !== undefined) timer = setTimeout(() => child.process.kill('SIGKILL'), killAfterMs);
  });
  const ended = await child.ended;
  clearTimeout(timer);
  if (ended !== 0 && ended !== 'SIGKILL') throw new Error(`the process that does ${operation} ended with ${ended}`);
  return ended === 'SIGKILL' ? Number.POSITIVE_INFINITY : performance.now() - begun;
}
