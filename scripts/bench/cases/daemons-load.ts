import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { runShell } from '../child-process.js';
import {
  type DurableTime,
  durableTimeOf,
  MILLISECONDS,
  perSecond,
  SECONDS,
  sidesOf,
  type TimedSide,
  timedLines,
} from '../daemons/daemon-lines.js';
import { type EngineKind, usableKinds, withEngine } from '../daemons/engine.js';
import { CONTAINERD, DOCKERD, PODMAN, SKOPEO } from '../daemons/kinds.js';
import { IMAGELOG } from '../daemons/our-program.js';
import { formatBytes } from '../format-number.js';
import { type PlainImages, writePlainImages } from '../inputs/random-archive.js';
import { interleave, type Side, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const MIB = 1024 * 1024;
/** One layer: vfs copies all layers below into each one, which would say nothing of a load. */
const LARGE_BYTES = 384 * MIB;
const SMALL_BYTES = 4_096;
const MANY = 300;
/** For podman, whose time grows with the square of the number of images: 300 take it minutes. */
const FEW = 30;
const FEWEST = 3;

/** $1 is the archive, $2 an empty folder. */
const COPY = 'cp "$1" "$2/copy" && sync "$2/copy" "$2"';
/** The same with $1 a folder: as many files are synced as a store of one file a layer has. */
const COPY_FILES = 'cp -r "$1" "$2/copy" && find "$2/copy" -exec sync {} +';

/** One large layer and many small images, loaded into empty stores. */
export const daemonsLoadBenchmark: Benchmark = {
  name: 'daemons-load',
  about: 'load of a large layer, and of many small images, against dockerd, ctr, podman and skopeo, and cp and sync',
  async run(context) {
    const usable = await usableKinds([DOCKERD, CONTAINERD, PODMAN, SKOPEO], context);
    const only = (...kinds: readonly EngineKind[]): EngineKind[] => usable.filter((kind) => kinds.includes(kind));
    const countOf = (images: number): number => Math.max(FEWEST, Math.round(images * context.scale));
    const large = { images: 1, fileBytes: Math.ceil(LARGE_BYTES * context.scale), seed: 11 };
    const many = { images: countOf(MANY), fileBytes: SMALL_BYTES, seed: 12 };
    const few = { images: countOf(FEW), fileBytes: SMALL_BYTES, seed: 13 };
    return [
      ...linesOfLarge(await measure(context, usable, large), large),
      // Skopeo copies one image a call.
      ...linesOfMany(await measure(context, only(DOCKERD, CONTAINERD), many), many),
      ...(usable.includes(PODMAN) ? linesOfMany(await measure(context, only(PODMAN), few), few) : []),
    ];
  },
};

/** What a load took each round. */
interface Measurements {
  readonly program: readonly Timed[];
  readonly library: readonly Timed[];
  readonly peers: readonly TimedSide[];
  readonly copy: TimedSide;
  readonly copyOfFiles: TimedSide;
}

function linesOfLarge({ program, library, peers, copy }: Measurements, { fileBytes }: PlainImages): Measured[] {
  const what = `${formatBytes(fileBytes)} in a layer`;
  return [
    ...timedLines(`imagelog load, ${what}`, SECONDS, program, [...peers, copy]),
    ...timedLines(`store.load, ${what}`, SECONDS, library, [copy]),
  ];
}

/** To daemons as a rate, since the target is how many times as many a second. */
function linesOfMany(
  { program, library, peers, copy, copyOfFiles }: Measurements,
  { images }: PlainImages,
): Measured[] {
  const isWhole = images >= MANY;
  const judged = peers.map((peer) => {
    return isWhole && peer.name === DOCKERD.name ? { ...peer, target: TARGETS.loadManyToDockerd } : peer;
  });
  const rate = perSecond(images, 'images');
  const copies = [isWhole ? { ...copy, target: TARGETS.loadMany } : copy, copyOfFiles];
  return [
    ...timedLines(`imagelog load, ${images} small images`, rate, program, judged),
    ...timedLines(`store.load, ${images} small images`, MILLISECONDS, library, copies),
  ];
}

/** Loads an archive into a new store each round: only that is timed, not the start of a daemon. */
async function measure(context: BenchContext, kinds: readonly EngineKind[], shape: PlainImages): Promise<Measurements> {
  const { directory, rounds } = context;
  const archive = join(directory, 'archive.tar');
  const files = join(directory, 'files');
  await writePlainImages(archive, shape);
  await mkdir(files);
  await runShell('tar -xf "$1" -C "$2"', archive, files);
  const sides: Record<string, Side<DurableTime>> = {
    copy: () => timeOfCopy(directory, COPY, archive),
    copyOfFiles: () => timeOfCopy(directory, COPY_FILES, files),
    library: () => timeOfLibrary(directory, archive, shape.images),
  };
  for (const kind of [IMAGELOG, ...kinds]) sides[kind.name] = () => timeOfKind(kind, archive, shape.images);
  const times = await interleave(rounds, sides);
  await rm(archive);
  await rm(files, { recursive: true });
  const valuesOf = (side: string): Timed[] => (times[side] ?? []).map(({ alone }) => alone);
  return {
    program: valuesOf(IMAGELOG.name),
    library: valuesOf('library'),
    copy: { name: 'cp and sync', values: valuesOf('copy'), settings: 'one file, the archive' },
    copyOfFiles: {
      name: 'cp -r and sync, file by file',
      values: valuesOf('copyOfFiles'),
      settings: 'what is in the archive as files, a config and a layer an image, each synced',
    },
    peers: sidesOf(kinds, times),
  };
}

function timeOfKind(kind: EngineKind, archive: string, images: number): Promise<DurableTime> {
  return withEngine(kind, async (engine) => {
    const time = await durableTimeOf(() => engine.load(archive), engine);
    await engine.check(images);
    return time;
  });
}

async function timeOfLibrary(directory: string, archive: string, images: number): Promise<DurableTime> {
  const path = join(directory, 'library');
  const store = await openStore(path);
  const alone = await timeOf(() => store.load(archive));
  if (store.len() !== images) throw new RangeError(`the store has ${store.len()} images, expected ${images}`);
  await store.close();
  await rm(path, { recursive: true });
  return { alone };
}

async function timeOfCopy(directory: string, line: string, source: string): Promise<DurableTime> {
  const copies = join(directory, 'copies');
  await mkdir(copies);
  const alone = await timeOf(() => runShell(line, source, copies));
  await rm(copies, { recursive: true });
  return { alone };
}
