import { join } from 'node:path';
import { type EventStore, type ImageId, openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark } from '../benchmark.js';
import { imageConfig } from '../inputs/image-configs.js';
import { openRows, putArrays, putChained, type Row, writtenRows } from '../inputs/written-rows.js';
import { type Figure, interleave, rateOf, timeOf, totalRounds } from '../rounds.js';
import { TARGETS } from '../targets.js';

/** Events per batch, one per image. */
const AT_ONCE = 100;
const BATCHES_PER_ROUND = 30;

/** Small events in batches of 100, against `level` alone with the rows a real store wrote. */
export const appendBenchmark: Benchmark = {
  name: 'append',
  about: 'metadata of 100 images set at once, again and again, against the same bytes put into level',
  async run(context) {
    const { directory, scale, rounds } = context;
    const perRound = Math.max(1, Math.floor(BATCHES_PER_ROUND * scale));
    const rows = await rowsOf(totalRounds(rounds) * perRound, context);
    const { store, images } = await openOurs(directory, 'ours');
    const [arrays, chained] = [await openRows(join(directory, 'arrays')), await openRows(join(directory, 'chained'))];
    const partOf = (round: number): readonly Row[][] => rows.slice(round * perRound, (round + 1) * perRound);
    const rate = async (work: () => Promise<void>): Promise<Figure> => rateOf(perRound * AT_ONCE, await timeOf(work));
    const rates = await interleave(rounds, {
      arrays: (round) => rate(() => putArrays(arrays, partOf(round))),
      chained: (round) => rate(() => putChained(chained, partOf(round))),
      ours: (round) => rate(() => setAll(store, images, { first: round * perRound, count: perRound })),
    });
    await store.close();
    await arrays.close();
    await chained.close();
    const line = { name: 'append, batches of 100', unit: 'events/s', ours: rates.ours };
    return [
      {
        ...line,
        peer: {
          name: 'level, batches of 100',
          values: rates.arrays,
          settings:
            'the very rows that we write for 100 events (event, index, tree) as one array of operations with sync: true: one of the two forms its documentation shows',
        },
        target: TARGETS.appendToLevel,
      },
      {
        ...line,
        peer: {
          name: 'level, chained batches of 100',
          values: rates.chained,
          settings:
            'the same rows as one chained batch with sync: true, the other form, which can be faster, as we hand them over',
        },
        beside: TARGETS.appendToLevel,
      },
    ];
  },
};

/** Resolves with the rows a store writes for `batches` batches. */
async function rowsOf(batches: number, { directory }: BenchContext): Promise<Row[][]> {
  const { store, images } = await openOurs(directory, 'model');
  await setAll(store, images, { first: 0, count: batches });
  await store.close();
  const rows = await writtenRows(join(directory, 'model'), AT_ONCE, images.length + 1);
  if (rows.length === batches) return rows;
  throw new RangeError(`expected ${batches} batches in the log, found ${rows.length}`);
}

async function openOurs(directory: string, name: string): Promise<{ store: EventStore; images: readonly ImageId[] }> {
  const store = await openStore(join(directory, name), { layers: 'none', actor: 'bench' });
  const images = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => store.create(imageConfig(index))));
  return { store, images };
}

async function setAll(
  store: EventStore,
  images: readonly ImageId[],
  { first, count }: { readonly first: number; readonly count: number },
): Promise<void> {
  for (let batch = first; batch < first + count; batch++) {
    const value = new TextEncoder().encode(`run ${batch}`);
    await Promise.all(images.map((image) => store.setMetadata(image, 'lastScan', value)));
  }
}
