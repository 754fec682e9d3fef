import { startChild } from '../child.js';
import { checkStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';
import type { SeededRandom } from './seeded-random.js';

const CHILD = new URL('./children/write-mixed.js', import.meta.url);

/** After so many rounds another store is begun: each look reads all of one. */
const ROUNDS_A_STORE = 400;
const LANES = [1, 2, 8, 64] as const;
/** Kills while the process starts and opens the store come this long after its start, at the most. */
const OPENING_MS = 250;
/** Others come after so many requests, at the most, and a little later. */
const REQUESTS = 150;
const LATER_MS = 10;

/**
 * A process that writes to a store in every way, in 1 to 64 lanes, is killed at a random moment; then another continues
 * in the same store. Every few rounds somebody looks in between.
 */
export async function killWriters(run: CrashRun): Promise<void> {
  const { random, figures } = run;
  const rounds = run.rounds(1);
  let store = run.newStore();
  for (let round = 0; round < rounds; round++) {
    if (round % ROUNDS_A_STORE === ROUNDS_A_STORE - 1) store = run.newStore();
    const lanes = LANES[random.below(LANES.length)] ?? 1;
    const args = [store.directory, store.journal, `${round}`, `${lanes}`, `${round} ${random.below(2 ** 32)}`];
    const { ended, when } = random.below(5) === 0 ? killOpening(args, random) : killWriting(args, random);
    const how = await ended;
    figures.rounds += 1;
    if (how === 'SIGKILL') figures.faults += 1;
    else run.note(`round ${round}`, [`the process ended by itself with ${how}`]);
    // Sometimes the next one finds the store as the kill left it.
    if (random.below(4) === 0 && round < rounds - 1) continue;
    const { wrong } = await checkStore(store);
    run.note(`round ${round}, ${lanes} lanes, killed ${when}`, wrong);
    if (run.wrong.length > 0) break;
  }
  figures.acknowledged = store.recorded.done.size;
  const { done, failed, begun, seen } = store.recorded;
  run.log(`${begun.size} requests, ${done.size} acknowledged, ${failed.size} refused, ${seen.size} events`);
}

interface Killed {
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly when: string;
}

function killOpening(args: readonly string[], random: SeededRandom): Killed {
  const afterMs = random.below(OPENING_MS);
  const child = startChild(CHILD, args);
  const timer = setTimeout(() => child.process.kill('SIGKILL'), afterMs);
  return { ended: child.ended.finally(() => clearTimeout(timer)), when: `${afterMs} ms after its start` };
}

function killWriting(args: readonly string[], random: SeededRandom): Killed {
  const requests = random.below(REQUESTS);
  const laterMs = random.below(LATER_MS);
  let left = requests;
  const child = startChild(CHILD, args, () => {
    if (left-- === 0) setTimeout(() => child.process.kill('SIGKILL'), laterMs);
  });
  return { ended: child.ended, when: `${laterMs} ms after ${requests} requests` };
}
