import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventStore, openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { hasProgram, runShell } from '../child-process.js';
import { formatBytes } from '../format-number.js';
import { bytesOfFiles, writeRandomArchive } from '../inputs/random-archive.js';
import { type Figure, interleave, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const MIB = 1024 * 1024;
const LAYERS = 8;
const LAYER_BYTES = 48 * MIB;

// No hashing: a save checks sizes, and the loader of the archive checks digests.
const FLOOR = 'cp "$1" "$2" && sync "$2"';
const LAYOUT =
  'skopeo copy --quiet --insecure-policy --dest-oci-accept-uncompressed-layers "docker-archive:$1" "oci:$2:random:1"';
const SKOPEO = 'skopeo copy --quiet --insecure-policy "oci:$1:random:1" "docker-archive:$2" && sync "$2"';

/** Saving an image to a file, durably, against copying the archive it came from and skopeo. */
export const saveBenchmark: Benchmark = {
  name: 'save',
  about: 'save an image into a file, against cp and sync, one after the other, and against skopeo from an OCI layout',
  async run({ directory, rounds, scale, say, leaveOut }) {
    const archive = join(directory, 'archive.tar');
    const layout = join(directory, 'layout');
    const saved = join(directory, 'saved.tar');
    say('writes the archive');
    const shape = { layers: LAYERS, layerBytes: LAYER_BYTES * scale, seed: 3 };
    await writeRandomArchive(archive, shape);
    const hasSkopeo = await hasProgram('skopeo');
    if (hasSkopeo) await runShell(LAYOUT, archive, layout);
    else leaveOut('skopeo copy', 'skopeo is not installed');
    await using store = await openStore(join(directory, 'store'));
    await store.load(archive);
    const timed = async (work: () => Promise<void>): Promise<Timed> => {
      const taken = await timeOf(work);
      await rm(saved);
      return taken;
    };
    const seconds = await interleave<'floor' | 'skopeo' | 'ours' | 'stream', Figure>(rounds, {
      floor: () => timed(() => runShell(FLOOR, archive, saved)),
      skopeo: () => (hasSkopeo ? timed(() => runShell(SKOPEO, layout, saved)) : 0),
      ours: () => timed(() => saveDurably(store, saved)),
      stream: () => timed(() => streamDurably(store, saved)),
    });
    const name = `save of ${formatBytes(bytesOfFiles(shape))}`;
    const line = { name, unit: 's', ours: seconds.ours } as const;
    const peer = { name: 'cp and sync, one after the other', values: seconds.floor };
    const floor = { ...line, peer, target: TARGETS.save };
    const stream = { ...line, name: `${name} through a stream`, ours: seconds.stream, peer };
    if (!hasSkopeo) return [floor, stream];
    const skopeoPeer = {
      name: 'skopeo copy',
      values: seconds.skopeo,
      settings: 'from an OCI layout of plain layers; synced',
    };
    const skopeo = { ...line, peer: skopeoPeer, target: { of: 'ratio', bound: 'at most', value: 1 } } as const;
    return [floor, skopeo, stream];
  },
};

/** Like `imagelog save -o`. */
async function saveDurably(store: EventStore, path: string): Promise<void> {
  await using file = await open(path, 'w');
  await store.saveTo(file, 'bench/random:1');
}

/** Like piping into a caller's own file. */
async function streamDurably(store: EventStore, path: string): Promise<void> {
  await using file = await open(path, 'w');
  await writeFile(file, store.save('bench/random:1'));
  await file.sync();
}
