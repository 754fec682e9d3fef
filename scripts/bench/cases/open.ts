import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { formatSize } from '../format-number.js';
import { allLayers } from '../inputs/all-layers.js';
import { populate } from '../inputs/populations.js';
import { interleave, secondsOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 100_000;

/** Opening images with parents by full replay and from a snapshot, against Docker's restore. */
export const openBenchmark: Benchmark = {
  name: 'open',
  about: 'open a store of images with parents, against restoring them from files as Docker does',
  async run({ directory, scale, rounds, say }) {
    const count = IMAGES * scale;
    say(`writes ${count} images twice`);
    const population = await populate(directory, count);
    const rates = await interleave(rounds, {
      // Each close writes the snapshot that the next opening removes or uses.
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
    const files = { name: 'restore from files', values: rates.peer };
    const line = { unit: 'images/s' };
    const opened = `open ${formatSize(count)}`;
    return [
      { ...line, name: `${opened}, from a snapshot`, ours: rates.snapshot, peer: files, target: TARGETS.openToFiles },
      { ...line, name: `${opened}, full replay`, ours: rates.replay, peer: files },
      {
        ...line,
        name: `${opened}, from a snapshot`,
        ours: rates.snapshot,
        peer: { name: 'full replay', values: rates.replay },
      },
    ];
  },
};

/** Images per second of one opening. */
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
