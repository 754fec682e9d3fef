import type { EventStore, ImageId, PastStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { lifeLog, openLife } from '../inputs/life-log.js';
import { SeededRandom } from '../inputs/seeded-random.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, type Timed, timeOf } from '../rounds.js';
import { spreadOf } from '../statistics.js';
import { TARGETS } from '../targets.js';

/** Moments per round. */
const MOMENTS = 20;
const SEED = 12;

const NO_IMAGE = `sha256:${'0'.repeat(64)}` as ImageId;

/** First query of a past store, which builds the views it needs. */
type Question = (past: PastStore) => unknown;

const nothing: Question = () => undefined;
const aReference: Question = (past) => past.references(NO_IMAGE);
const most: Question = (past) => [past.len(), past.heads().size, past.references(NO_IMAGE), past.layers.map().size];

/** Past stores at random moments and, worst case, just before a snapshot; with a first query. */
export const atBenchmark: Benchmark = {
  name: 'at',
  about: 'at(when): at random moments, and one event before the newest snapshot; alone, and with a first question',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const life = await lifeLog(size, context);
  await using store = await openLife(life.directory);
  const random = new SeededRandom(SEED);
  const moments = (): number[] => Array.from({ length: MOMENTS }, () => random.between(1, size));
  const seconds = await interleave(context.rounds, {
    random: () => timesOf(store, moments(), nothing),
    randomResolved: () => timesOf(store, moments(), aReference),
    // The head snapshot does not help; everything since the one before must be replayed.
    worst: () => timesOf(store, [size - 1], nothing),
    worstResolved: () => timesOf(store, [size - 1], aReference),
    worstMost: () => timesOf(store, [size - 1], most),
  });
  const unit = 's';
  const target = TARGETS.at;
  // One number per round, for any number of moments.
  const each = (rounds: readonly (readonly Timed[])[], pick: (values: readonly number[]) => number): Timed[] =>
    rounds.map((round) => ({ wall: pick(round.map(({ wall }) => wall)), cpu: pick(round.map(({ cpu }) => cpu)) }));
  const median = (rounds: readonly (readonly Timed[])[]) => each(rounds, (values) => spreadOf(values).median);
  const slowest = (rounds: readonly (readonly Timed[])[]) => each(rounds, (values) => spreadOf(values).max);
  return [
    { name: `at, median of ${MOMENTS} random moments`, unit, ours: median(seconds.random) },
    { name: `at, slowest of ${MOMENTS} random moments`, unit, ours: slowest(seconds.random), target },
    { name: `at and a name resolved, slowest of ${MOMENTS}`, unit, ours: slowest(seconds.randomResolved), target },
    { name: 'at, just before a snapshot', unit, ours: slowest(seconds.worst), target },
    { name: 'at and a name resolved, just before a snapshot', unit, ours: slowest(seconds.worstResolved), target },
    { name: 'at and images, heads, names, layers', unit, ours: slowest(seconds.worstMost) },
  ];
}

/** Returns the seconds taken for each of `seqs` with the query, sequentially. */
async function timesOf(store: EventStore, seqs: readonly number[], ask: Question): Promise<Timed[]> {
  const seconds: Timed[] = [];
  for (const seq of seqs) {
    seconds.push(
      await timeOf(async () => {
        const past = await store.at(seq);
        ask(past);
        if (past.seq !== seq) throw new RangeError(`asked for event ${seq}, found ${past.seq}`);
      }),
    );
  }
  return seconds;
}
