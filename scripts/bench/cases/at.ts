import type { EventStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { lifeLog, openLife } from '../inputs/life-log.js';
import { SeededRandom } from '../inputs/seeded-random.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, secondsOf } from '../rounds.js';

const ROUNDS = 3;
/** Moments of a round. */
const MOMENTS = 20;
const SEED = 12;

/** The store as it was: at any moment, and where it costs most, one event before a snapshot. */
export const atBenchmark: Benchmark = {
  name: 'at',
  about: 'at(when): at random moments, the slowest of them, and one event before the newest snapshot',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const life = await lifeLog(size, context);
  await using store = await openLife(life.directory);
  const random = new SeededRandom(SEED);
  const moments = (): number[] => Array.from({ length: MOMENTS }, () => random.between(1, size));
  const seconds = await interleave(ROUNDS, {
    random: () => timesOf(store, moments()),
    // The snapshot at the head does not help, and all that came after the one before has to be folded.
    worst: () => timesOf(store, [size - 1]),
  });
  const unit = 's';
  const target = { of: 'ours', bound: 'at most', value: 1 } as const;
  const slowest = seconds.random.map((round) => Math.max(...round));
  return [
    { name: 'at, random moments', unit, ours: seconds.random.flat() },
    { name: `at, slowest of ${MOMENTS} random moments`, unit, ours: slowest, target },
    { name: 'at, just before a snapshot', unit, ours: seconds.worst.flat(), target },
  ];
}

/** Returns the seconds that the store takes for each of `seqs`, one after another. */
async function timesOf(store: EventStore, seqs: readonly number[]): Promise<number[]> {
  const seconds: number[] = [];
  for (const seq of seqs) {
    seconds.push(
      await secondsOf(async () => {
        const past = await store.at(seq);
        if (past.seq !== seq) throw new RangeError(`asked for event ${seq}, found ${past.seq}`);
      }),
    );
  }
  return seconds;
}
