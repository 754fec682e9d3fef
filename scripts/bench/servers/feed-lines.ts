import type { BenchContext, Measured } from '../benchmark.js';
import { formatSize } from '../format-number.js';
import { type RegistryImage, smallImages } from '../inputs/random-archive.js';
import { memoryOf } from '../peak-memory.js';
import { interleave, rateOf, type Timed, timeOfServer, totalRounds } from '../rounds.js';
import { TARGETS } from '../targets.js';
import { followIdly } from './idle-followers.js';
import { type RunningRegistry, SERVE } from './registry-kinds.js';
import { push, withClient } from './transfers.js';

const FOLLOWERS = 10_000;
const FEWEST_FOLLOWERS = 50;
const IMAGES_A_ROUND = 100;
const FEWEST_IMAGES = 10;
const WRITERS = 8;
const WARM_UP_IMAGES = 50;

/** What a round found. */
interface Followed {
  readonly alone: Timed;
  readonly followed: Timed;
  /** Resident memory of the server with its followers, and without. */
  readonly bytes: number;
  readonly bytesBefore: number;
}

/** Idle followers of the feed: what they hold, and what pushes lose by them. */
export async function feedLines({ scale, rounds, directory, say }: BenchContext): Promise<Measured[]> {
  const followers = Math.max(FEWEST_FOLLOWERS, Math.round(FOLLOWERS * scale));
  const perRound = Math.max(FEWEST_IMAGES, Math.round(IMAGES_A_ROUND * scale));
  say(
    `connects ${followers} followers a round; this process needs as many open files (ulimit -n), and so does the server`,
  );
  const images = smallImages({
    images: WARM_UP_IMAGES + 2 * perRound * totalRounds(rounds),
    fileBytes: 1_024,
    seed: 36,
  });
  let used = 0;
  const next = (count: number): RegistryImage[] => {
    used += count;
    return images.slice(used - count, used);
  };
  await using server = await SERVE.start(directory);
  await write(server, next(WARM_UP_IMAGES));
  const { found } = await interleave(rounds, {
    found: async (round) => measure(server, { followers, batches: [next(perRound), next(perRound)], round }),
  });
  const rates = (side: 'alone' | 'followed'): Timed[] => found.map((each) => rateOf(perRound, each[side]));
  const who = `${formatSize(followers)} idle followers`;
  return [
    {
      name: `push small images, ${WRITERS} clients, ${who}`,
      unit: 'images/s',
      ours: rates('followed'),
      peer: { name: 'without followers', values: rates('alone') },
      target: TARGETS.serveFollowed,
    },
    {
      name: `memory of a server with ${who}`,
      unit: 'MB',
      ours: found.map(({ bytes }) => bytes / 1e6),
      target: TARGETS.serveFollowerMemory,
    },
    {
      name: 'memory before them',
      unit: 'MB',
      ours: found.map(({ bytesBefore }) => bytesBefore / 1e6),
    },
  ];
}

interface Round {
  readonly followers: number;
  readonly batches: readonly [RegistryImage[], RegistryImage[]];
  readonly round: number;
}

async function measure(server: RunningRegistry, { followers, batches, round }: Round): Promise<Followed> {
  const [pid] = server.pids.slice(1);
  if (pid === undefined) throw new Error('the server has no process');
  const bytesBefore = memoryOf(pid).now;
  const rate = (images: readonly RegistryImage[]): Promise<Timed> =>
    timeOfServer(() => write(server, images), server.pids);
  const followed = async (images: readonly RegistryImage[]): Promise<Pick<Followed, 'followed' | 'bytes'>> => {
    await using _ = await followIdly(server.port, followers);
    return { followed: await rate(images), bytes: memoryOf(pid).now };
  };
  const [first, second] = batches;
  // The store grows: each side is first in turn.
  if (round % 2 === 0) return { alone: await rate(first), ...(await followed(second)), bytesBefore };
  return { ...(await followed(first)), alone: await rate(second), bytesBefore };
}

async function write(server: RunningRegistry, images: readonly RegistryImage[]): Promise<void> {
  const left = images.values();
  const writer = (_: unknown, own: number): Promise<void> =>
    withClient(server, `bench/followed-${own}`, async (client) => {
      for (const image of left) await push(client, image, 'latest');
    });
  await Promise.all(Array.from({ length: WRITERS }, writer));
}
