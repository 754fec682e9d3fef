import type { EventStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { grownStoreWithSnapshots } from '../inputs/grown-store.js';
import { openLife } from '../inputs/life-log.js';
import { SeededRandom } from '../inputs/seeded-random.js';
import { interleave, type Timed, timeOf } from '../rounds.js';
import { spreadOf } from '../statistics.js';
import { TARGETS } from '../targets.js';

/** Questions of a kind in a round. */
const QUESTIONS = 3;
const SEED = 17;

/** The past of the largest store, with the snapshots that a store writes by default. */
export const pastBenchmark: Benchmark = {
  name: 'past',
  about: 'at and diff at random moments of a store of 1,000,000 images, snapshots at default',
  run: (context) => measure(context.imageCounts.at(-1) ?? 1, context),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const random = new SeededRandom(SEED);
  await using store = await openLife(await grownStoreWithSnapshots(size, context));
  const moment = (): number => random.between(1, store.log.head.seq);
  const taken = await interleave(context.rounds, {
    at: () => slowestOf(() => countAt(store, moment())),
    diff: () => slowestOf(() => countDiff(store, moment(), moment())),
  });
  const target = size === 1_000_000 ? TARGETS.pastOfImages : undefined;
  const line = { unit: 's', size, sizeOf: 'images', target } as const;
  return [
    { ...line, name: `at and a count, slowest of ${QUESTIONS}`, ours: taken.at },
    { ...line, name: `diff, slowest of ${QUESTIONS}`, ours: taken.diff },
  ];
}

/** Each clock has its own slowest question. */
async function slowestOf(ask: () => Promise<void>): Promise<Timed> {
  const taken: Timed[] = [];
  for (let question = 0; question < QUESTIONS; question++) taken.push(await timeOf(ask));
  return { wall: spreadOf(taken.map(({ wall }) => wall)).max, cpu: spreadOf(taken.map(({ cpu }) => cpu)).max };
}

async function countAt(store: EventStore, seq: number): Promise<void> {
  const past = await store.at(seq);
  if (past.len() === 0) throw new RangeError(`there were no images at ${seq}`);
}

async function countDiff(store: EventStore, one: number, other: number): Promise<void> {
  await store.diff(Math.min(one, other), Math.max(one, other));
}
