import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { allLayers } from '../inputs/all-layers.js';
import { populate } from '../inputs/populations.js';
import { interleave, secondsOf } from '../rounds.js';

const IMAGES = 100_000;
const ROUNDS = 3;

/** Opening 100,000 images with parents by a full replay and from a snapshot, against restoring them from Docker's layout as Docker does. */
export const openBenchmark: Benchmark = {
  name: 'open',
  about: 'open 100,000 images with parents, against restoring them from files as Docker does',
  async run({ directory, scale, say }) {
    const count = IMAGES * scale;
    say(`writes ${count} images twice`);
    const population = await populate(directory, count);
    const rates = await interleave(ROUNDS, {
      // The close of each opening writes the snapshot that the next one removes or begins with.
      replay: async () => {
        await rm(join(population.store, 'snapshots'), { recursive: true, force: true });
        return openingRate(population.store, count);
      },
      snapshot: () => openingRate(population.store, count),
      peer: async () => {
        const seconds = await secondsOf(async () => {
          const store = await newImageStore(await newFSStoreBackend(population.peer), allLayers, { os: 'linux' });
          if (store.len() !== count) throw new RangeError(`the peer has ${store.len()} images, expected ${count}`);
        });
        return count / seconds;
      },
    });
    return [
      {
        name: 'open, full replay',
        unit: 'images/s',
        ours: rates.replay,
        peer: { name: 'restore from files', values: rates.peer },
        target: { of: 'ratio', bound: 'at least', value: 10 },
      },
      {
        name: 'open, from a snapshot',
        unit: 'images/s',
        ours: rates.snapshot,
        peer: { name: 'full replay', values: rates.replay },
        target: { of: 'ratio', bound: 'at least', value: 4 },
      },
    ];
  },
};

/** Images a second of one opening. */
async function openingRate(directory: string, count: number): Promise<number> {
  let close = async (): Promise<void> => undefined;
  const seconds = await secondsOf(async () => {
    const store = await openStore(directory, { layers: 'none' });
    if (store.len() !== count) throw new RangeError(`the store has ${store.len()} images, expected ${count}`);
    close = () => store.close();
  });
  await close();
  return count / seconds;
}
