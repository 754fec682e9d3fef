import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { DockerImages } from '../file-peers/docker-images.js';
import { formatSize } from '../format-number.js';
import { allLayers } from '../inputs/all-layers.js';
import { populate } from '../inputs/populations.js';
import { interleave, rateOf, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 100_000;
const RESTORE = 'reads and checks each config three times and looks twice for its parent, as a trace of dockerd shows';

/** Opening images with parents by full replay and from a snapshot, against Docker's restore. */
export const openBenchmark: Benchmark = {
  name: 'open',
  about: "open a store of images with parents, against Docker's restore of the same images",
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
      docker: async () => {
        return rateOf(count, await timeOf(() => expectCount(new DockerImages(population.peer).size, count)));
      },
      files: async () => {
        const restore = async () => newImageStore(await newFSStoreBackend(population.peer), allLayers, { os: 'linux' });
        return rateOf(count, await timeOf(async () => expectCount((await restore()).len(), count)));
      },
    });
    const docker = { name: "Docker's restore", values: rates.docker, settings: RESTORE };
    const files = { name: 'newFSStoreBackend', values: rates.files, settings: 'our own restore: each config once' };
    const opened = `open ${formatSize(count)}`;
    const snapshot = { unit: 'images/s', name: `${opened}, from a snapshot`, ours: rates.snapshot };
    const replay = { unit: 'images/s', name: `${opened}, full replay`, ours: rates.replay };
    return [
      { ...snapshot, peer: docker, target: TARGETS.openToDocker },
      { ...snapshot, peer: files, beside: TARGETS.openToDocker },
      { ...snapshot, peer: { name: 'full replay', values: rates.replay } },
      { ...replay, peer: docker },
    ];
  },
};

/** Images per second of one opening. */
async function openingRate(directory: string, count: number): Promise<Timed> {
  let close = async (): Promise<void> => undefined;
  const seconds = await timeOf(async () => {
    const store = await openStore(directory, { layers: 'none' });
    expectCount(store.len(), count);
    close = () => store.close();
  });
  await close();
  return rateOf(count, seconds);
}

function expectCount(found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`expected ${expected} images, found ${found}`);
}
