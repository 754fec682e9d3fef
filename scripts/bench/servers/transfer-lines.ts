import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchContext, Measured, Target } from '../benchmark.js';
import { SECONDS, timedLines } from '../daemons/daemon-lines.js';
import { formatBytes } from '../format-number.js';
import { type ArchiveShape, bytesOfFiles, type RegistryImage, writeRandomImage } from '../inputs/random-archive.js';
import { interleave, type Timed, timeOfServer } from '../rounds.js';
import { TARGETS } from '../targets.js';
import { type RegistryKind, SERVE } from './registry-kinds.js';
import { pull, push, withClient } from './transfers.js';

/** 24 files of 4 MiB a layer, 403 MB in all. */
const LAYERS = 4;
const LAYER_BYTES = 100_000_000;

/** What a round found, in this order: a server that is new has nothing in its caches. */
interface Transfer {
  readonly coldPush: Timed;
  readonly warmPush: Timed;
  readonly coldPull: Timed;
  readonly warmPull: Timed;
}

interface Form {
  readonly name: string;
  readonly shape: Pick<ArchiveShape, 'compression' | 'content' | 'seed'>;
  readonly targets: Readonly<Partial<Record<keyof Transfer, Target>>>;
}

const JUDGED = {
  coldPush: TARGETS.servePush,
  warmPush: TARGETS.serveWarmPush,
  coldPull: TARGETS.servePull,
  warmPull: TARGETS.servePull,
} as const;

const FORMS: readonly Form[] = [
  { name: 'plain', shape: { seed: 31 }, targets: JUDGED },
  { name: 'gzip', shape: { seed: 32, compression: 'gzip', content: 'random' }, targets: JUDGED },
  { name: 'gzip of text', shape: { seed: 33, compression: 'gzip', content: 'text' }, targets: {} },
];

/** An image of a few large layers, pushed to an empty registry, pushed to another repository, and pulled twice. */
export async function transferLines(context: BenchContext, peers: readonly RegistryKind[]): Promise<Measured[]> {
  const lines: Measured[][] = [];
  for (const form of FORMS) lines.push(await linesOf(form, context, peers));
  return lines.flat();
}

async function linesOf(
  { name, shape, targets }: Form,
  { directory, scale, rounds, say }: BenchContext,
  peers: readonly RegistryKind[],
): Promise<Measured[]> {
  const whole = { layers: LAYERS, layerBytes: LAYER_BYTES * scale, ...shape };
  say(`writes layers, ${name}`);
  const folder = join(directory, 'layers');
  await mkdir(folder);
  const image = await writeRandomImage(folder, whole);
  const kinds = [SERVE, ...peers];
  const found = await interleave(
    rounds,
    Object.fromEntries(kinds.map((kind) => [kind.name, () => transfer(kind, directory, image)])),
  );
  await rm(folder, { recursive: true });
  const what = `${formatBytes(bytesOfFiles(whole))} in ${LAYERS} layers, ${name}`;
  const line = (title: string, phase: keyof Transfer): Measured[] => {
    const valuesOf = (kind: RegistryKind): Timed[] => (found[kind.name] ?? []).map((transferred) => transferred[phase]);
    const sides = peers.map((kind) => {
      return { name: kind.name, values: valuesOf(kind), settings: kind.settings, target: targets[phase] };
    });
    return timedLines(`${title} ${what}`, SECONDS, valuesOf(SERVE), sides);
  };
  return [
    ...line('push', 'coldPush'),
    ...line('push, blobs there,', 'warmPush'),
    ...line('pull', 'coldPull'),
    ...line('pull again', 'warmPull'),
  ];
}

/** Pushes of what is there are too short for ticks of 10 ms. */
const WARM_PUSHES = 20;

async function transfer(kind: RegistryKind, directory: string, image: RegistryImage): Promise<Transfer> {
  await using server = await kind.start(directory);
  const { pids } = server;
  return await withClient(server, 'bench/large', async (client) => {
    const coldPush = await timeOfServer(() => push(client, image, '1'), pids);
    const all = await timeOfServer(async () => {
      for (let at = 0; at < WARM_PUSHES; at++) await push(client, image, `again-${at}`);
    }, pids);
    const coldPull = await timeOfServer(() => pull(client, image, '1'), pids);
    const warmPull = await timeOfServer(() => pull(client, image, '1'), pids);
    const warmPush = { wall: all.wall / WARM_PUSHES, cpu: all.cpu / WARM_PUSHES };
    return { coldPush, warmPush, coldPull, warmPull };
  });
}
