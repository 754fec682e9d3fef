import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventStore, openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark } from '../benchmark.js';
import { type DurableTime, durableTimeOf, SECONDS, sidesOf, timedLines } from '../daemons/daemon-lines.js';
import { type Engine, usableKinds, withLoaded } from '../daemons/engine.js';
import { CONTAINERD, DOCKERD, PODMAN, SKOPEO } from '../daemons/kinds.js';
import { IMAGELOG } from '../daemons/our-program.js';
import { formatBytes } from '../format-number.js';
import { plainImageName, writePlainImages } from '../inputs/random-archive.js';
import { interleave, type Side, type Timed, timeOf } from '../rounds.js';

const LARGE_BYTES = 384 * 1024 * 1024;
const LIBRARY = 'library';

/**
 * An image of one large layer into a file. By strace no peer syncs that file: a sync follows, and
 * the time without it has another line. Ours is synced.
 */
export const daemonsSaveBenchmark: Benchmark = {
  name: 'daemons-save',
  about: 'save of a large layer into a file, against docker, ctr, podman and skopeo, with the file synced and without',
  async run(context) {
    const { directory, scale } = context;
    const peers = await usableKinds([DOCKERD, CONTAINERD, PODMAN, SKOPEO], context);
    const archive = join(directory, 'archive.tar');
    const fileBytes = Math.ceil(LARGE_BYTES * scale);
    await writePlainImages(archive, { images: 1, fileBytes, seed: 17 });
    const times = await withLoaded([IMAGELOG, ...peers], { archive, count: 1 }, (engines) =>
      measure(context, archive, engines),
    );
    const ours = (side: string): Timed[] => (times[side] ?? []).map(({ alone }) => alone);
    const sides = sidesOf(peers, times);
    const what = `${formatBytes(fileBytes)} in a layer`;
    return [
      ...timedLines(`imagelog save, ${what}`, SECONDS, ours(IMAGELOG.name), sides),
      ...timedLines(`store.saveTo, ${what}`, SECONDS, ours(LIBRARY), sides),
    ];
  },
};

async function measure(
  { directory, rounds }: BenchContext,
  archive: string,
  engines: readonly Engine[],
): Promise<Record<string, DurableTime[]>> {
  const saved = join(directory, 'saved.tar');
  await using store = await openStore(join(directory, LIBRARY));
  await store.load(archive);
  const removing = async (work: () => Promise<DurableTime>): Promise<DurableTime> => {
    const time = await work();
    await rm(saved);
    return time;
  };
  const sides: Record<string, Side<DurableTime>> = {
    [LIBRARY]: () => removing(async () => ({ alone: await timeOf(() => saveFrom(store, saved)) })),
  };
  for (const { name, pids, save } of engines) {
    const unsynced = name === IMAGELOG.name ? undefined : saved;
    sides[name] = () => removing(() => durableTimeOf(() => save(plainImageName(0), saved), { pids, unsynced }));
  }
  return await interleave(rounds, sides);
}

async function saveFrom(store: EventStore, path: string): Promise<void> {
  await using file = await open(path, 'w');
  await store.saveTo(file, plainImageName(0));
}
