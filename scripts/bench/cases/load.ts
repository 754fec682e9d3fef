import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { runShell } from '../child-process.js';
import { writeRandomArchive } from '../inputs/random-archive.js';
import { interleave, secondsOf } from '../rounds.js';

const MIB = 1024 * 1024;
const LAYERS = 8;
const LAYER_BYTES = 48 * MIB;
const ROUNDS = 7;

/** Loading an archive of 380 MB into a new store, against copying it, syncing the copy and hashing it once. */
export const loadBenchmark: Benchmark = {
  name: 'load',
  about: 'load a docker archive of 380 MB, against cp, sync and openssl dgst of the same file',
  async run({ directory, scale, say }) {
    const archive = join(directory, 'archive.tar');
    say('writes the archive');
    await writeRandomArchive(archive, { layers: LAYERS, layerBytes: LAYER_BYTES * scale, seed: 1 });
    const seconds = await interleave(ROUNDS, {
      floor: async () => {
        const copies = join(directory, 'copies');
        await mkdir(copies);
        const line = 'cp "$1" "$2/copy" && sync "$2/copy" "$2" && openssl dgst -sha256 "$1"';
        const taken = await secondsOf(() => runShell(line, archive, copies));
        await rm(copies, { recursive: true });
        return taken;
      },
      ours: async () => {
        const path = join(directory, 'store');
        const store = await openStore(path);
        const taken = await secondsOf(() => store.load(archive));
        if (store.stats().layers !== LAYERS)
          throw new RangeError(`the store has ${store.stats().layers} layers, expected ${LAYERS}`);
        await store.close();
        await rm(path, { recursive: true });
        return taken;
      },
    });
    return [
      {
        name: 'load of 380 MB',
        unit: 's',
        ours: seconds.ours,
        peer: { name: 'cp, sync, openssl dgst', values: seconds.floor },
        target: { of: 'ratio', bound: 'at most', value: 1.5 },
      },
    ];
  },
};
