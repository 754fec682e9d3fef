import type { EventStore } from '../../../src/index.js';
import { isStoreError } from '../../../src/errors.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { type LifeLog, lifeLog, openLife } from '../inputs/life-log.js';
import { SeededRandom } from '../inputs/seeded-random.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, scaled, type Timed, timeOf } from '../rounds.js';
import { percentileOf } from '../statistics.js';
import { TARGETS } from '../targets.js';

/** Queries per kind and round; ten of them lie above the 99th percentile. */
const QUESTIONS = 1_000;
/** Names that move constantly have thousands of events each. */
const LONG_QUESTIONS = 20;
const SEED = 11;

type Question = 'image' | 'reference' | 'moving' | 'resolve' | 'resolveMoving';

const NAMES: Readonly<Record<Question, string>> = {
  image: 'history of an image',
  reference: 'history of a name',
  moving: 'history of a name that moves',
  resolve: 'resolve at a moment',
  resolveMoving: 'resolve at, a name that moves',
};
const JUDGED: readonly Question[] = ['image', 'resolve', 'resolveMoving'];

/** Latency of subject index queries, each run alone and to its end. */
export const historyBenchmark: Benchmark = {
  name: 'history',
  about: 'history of an image and of a name, resolve at a moment: 50th and 99th percentile',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const life = await lifeLog(size, context);
  await using store = await openLife(life.directory);
  const random = new SeededRandom(SEED);
  const ask = (question: Question, count: number): Promise<Answered> =>
    answer(count, () => questionOf(question, store, life, random));
  // Warms up the code.
  for (const question of Object.keys(NAMES) as Question[]) await ask(question, LONG_QUESTIONS);
  const taken = await interleave(context.rounds, {
    image: () => ask('image', QUESTIONS),
    reference: () => ask('reference', QUESTIONS),
    moving: () => ask('moving', LONG_QUESTIONS),
    resolve: () => ask('resolve', QUESTIONS),
    resolveMoving: () => ask('resolveMoving', QUESTIONS),
  });
  return (Object.keys(NAMES) as Question[]).flatMap((question) => {
    const at = (percent: number): Measured => ({
      name: `${NAMES[question]}, p${percent}`,
      unit: 'ms',
      ours: taken[question].map(({ milliseconds }) => percentileOf(milliseconds, percent)),
    });
    const mean: Measured = {
      name: `${NAMES[question]}, mean`,
      unit: 'ms',
      ours: taken[question].map((round) => round.mean),
    };
    return [mean, at(50), { ...at(99), target: JUDGED.includes(question) ? TARGETS.history : undefined }];
  });
}

/** Times of a round's queries: each alone, and the mean, which has their processor time too. */
interface Answered {
  readonly milliseconds: readonly number[];
  readonly mean: Timed;
}

/** Runs `count` queries sequentially. */
async function answer(count: number, question: () => () => Promise<unknown>): Promise<Answered> {
  const questions = Array.from({ length: count }, question);
  const milliseconds: number[] = [];
  const taken = await timeOf(async () => {
    for (const ask of questions) {
      const start = performance.now();
      await ask();
      milliseconds.push(performance.now() - start);
    }
  });
  return { milliseconds, mean: scaled(taken, 1_000 / count) };
}

/** Returns a random query. */
function questionOf(
  question: Question,
  store: EventStore,
  life: LifeLog,
  random: SeededRandom,
): () => Promise<unknown> {
  const moment = new Date(random.between(life.from, life.until));
  const moving = random.pick(life.movingReferences);
  const reference = random.pick(life.references);
  const image = random.pick(life.images);
  switch (question) {
    case 'image':
      return () => countHistory(store, { image });
    case 'reference':
      return () => countHistory(store, { reference });
    case 'moving':
      return () => countHistory(store, { reference: moving });
    case 'resolve':
      return () => resolveAt(store, reference, moment);
    case 'resolveMoving':
      return () => resolveAt(store, moving, moment);
  }
}

async function countHistory(store: EventStore, subject: Parameters<EventStore['history']>[0]): Promise<void> {
  let count = 0;
  for await (const { seq } of store.history(subject)) if (seq > 0) count++;
  if (count === 0) throw new RangeError('a history is empty');
}

// A name that pointed at nothing then is an answer too.
async function resolveAt(store: EventStore, reference: string, at: Date): Promise<void> {
  await store.resolve(reference, { at }).catch((error: unknown) => {
    if (!isStoreError(error, 'REFERENCE_NOT_FOUND')) throw error;
  });
}
