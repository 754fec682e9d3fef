import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Benchmark } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { formatBytes } from '../format-number.js';
import { bytesOfFiles, writeRandomArchive } from '../inputs/random-archive.js';
import { interleave } from '../rounds.js';
import { TARGETS } from '../targets.js';

const MIB = 1024 * 1024;
const LAYERS = 4;
const LAYER_BYTES = 256 * MIB;

const LOAD_CHILD = new URL('../children/peak-of-load.js', import.meta.url);

/** Peak memory of loading a large archive. */
export const memoryBenchmark: Benchmark = {
  name: 'memory',
  about: 'peak memory of a process that loads a large archive',
  async run({ directory, scale, rounds, say }) {
    const archive = join(directory, 'archive.tar');
    say('writes the archive');
    const shape = { layers: LAYERS, layerBytes: LAYER_BYTES * scale, seed: 2 };
    await writeRandomArchive(archive, shape);
    const { peak } = await interleave(rounds, {
      peak: async () => {
        const path = join(directory, 'store');
        const { peakBytes, layersAdded } = await measureInChild<{ peakBytes: number; layersAdded: number }>(
          LOAD_CHILD,
          [path, archive],
        );
        if (layersAdded !== LAYERS) throw new RangeError(`${layersAdded} layers were added, expected ${LAYERS}`);
        await rm(path, { recursive: true });
        return peakBytes / 1e6;
      },
    });
    return [
      {
        name: `peak memory of a load of ${formatBytes(bytesOfFiles(shape))}`,
        unit: 'MB',
        ours: peak,
        target: TARGETS.peakOfLoad,
      },
    ];
  },
};
