import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { runShell } from '../child-process.js';
import { writeRandomArchive } from '../inputs/random-archive.js';
import { interleave, secondsOf } from '../rounds.js';

const MIB = 1024 * 1024;
const LAYERS = 8;
const LAYER_BYTES = 48 * MIB;
const ROUNDS = 7;

/** Saving an image of 380 MB into a file, against copying the archive it came from. */
export const saveBenchmark: Benchmark = {
  name: 'save',
  about: 'save an image of 380 MB into a file, against cp',
  async run({ directory, scale, say }) {
    const archive = join(directory, 'archive.tar');
    const saved = join(directory, 'saved.tar');
    say('writes the archive');
    await writeRandomArchive(archive, { layers: LAYERS, layerBytes: LAYER_BYTES * scale, seed: 3 });
    await using store = await openStore(join(directory, 'store'));
    await store.load(archive);
    const seconds = await interleave(ROUNDS, {
      copy: async () => {
        const taken = await secondsOf(() => runShell('cp "$1" "$2"', archive, saved));
        await rm(saved);
        return taken;
      },
      ours: async () => {
        const taken = await secondsOf(() => pipeline(store.save('bench/random:1'), createWriteStream(saved)));
        await rm(saved);
        return taken;
      },
    });
    return [{ name: 'save of 380 MB', unit: 's', ours: seconds.ours, peer: { name: 'cp', values: seconds.copy } }];
  },
};
