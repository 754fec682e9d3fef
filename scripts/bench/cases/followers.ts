import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { formatSize } from '../format-number.js';
import { type CrowdSize, gatherCrowd } from '../inputs/crowd.js';
import { imageConfig } from '../inputs/image-configs.js';
import { lifeLog } from '../inputs/life-log.js';
import { interleave, rateOf, type Timed, timeOf, twiceAsMany } from '../rounds.js';
import { TARGETS } from '../targets.js';

const PER_ROUND = 512;
const AT_ONCE = 64;
/** Backlog of the slow followers: more than they consume during the benchmark. */
const PAST_EVENTS = 10_000;
/** Images of the earlier life have smaller numbers. */
const FIRST_IMAGE = 1_000_000;
const CROWD: CrowdSize = { idle: 1_000, slow: 10 };
const EAGER: CrowdSize = { eager: 1_000 };
const MEMORY_EVENTS = 51_200;
const MEMORY_CHILD = new URL('../children/memory-of-followers.js', import.meta.url);

/** Cost of followers to the writer: creates with and without them, and memory held. */
export const followersBenchmark: Benchmark = {
  name: 'followers',
  about: 'creates with 1,000 idle and 10 slow followers, against the same alone; and their memory',
  async run(context) {
    const { directory } = await lifeLog(PAST_EVENTS, context);
    const copy = async (name: string): Promise<string> => {
      const path = join(context.directory, name);
      await cp(directory, path, { recursive: true });
      return path;
    };
    return [...(await compareRates(await copy('rates'), context)), ...(await measureMemory(copy, context))];
  },
};

async function compareRates(directory: string, { scale, rounds }: BenchContext): Promise<Measured[]> {
  await using store = await openStore(directory, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
  const perRound = Math.max(AT_ONCE, Math.floor((PER_ROUND * scale) / AT_ONCE) * AT_ONCE);
  let next = FIRST_IMAGE;
  const rate = async (atOnce: number, size: CrowdSize): Promise<Timed> => {
    const configs = Array.from({ length: perRound }, () => imageConfig(next++));
    const crowd = await gatherCrowd(store, size);
    const seconds = await timeOf(() => create(store, configs, atOnce));
    await crowd.caughtUp();
    await crowd.dismiss();
    return rateOf(perRound, seconds);
  };
  const rates = await interleave(twiceAsMany(rounds), {
    single: () => rate(1, {}),
    singleCrowd: () => rate(1, CROWD),
    singleEager: () => rate(1, EAGER),
    group: () => rate(AT_ONCE, {}),
    groupCrowd: () => rate(AT_ONCE, CROWD),
    groupEager: () => rate(AT_ONCE, EAGER),
  });
  const against = (values: readonly Timed[]) => ({ unit: 'creates/s', peer: { name: 'without followers', values } });
  const [single, group] = [against(rates.single), against(rates.group)];
  return [
    { ...single, name: 'create, 1,000 idle and 10 slow followers', ours: rates.singleCrowd, target: TARGETS.followed },
    { ...group, name: '64 at once, 1,000 idle and 10 slow', ours: rates.groupCrowd, target: TARGETS.followed },
    { ...single, name: 'create, 1,000 that take every event', ours: rates.singleEager },
    { ...group, name: '64 at once, 1,000 that take every event', ours: rates.groupEager },
  ];
}

async function create(store: EventStore, configs: readonly Uint8Array[], atOnce: number): Promise<void> {
  for (let at = 0; at < configs.length; at += atOnce) {
    await Promise.all(configs.slice(at, at + atOnce).map((config) => store.create(config)));
  }
}

/** Output of the child; see there. */
interface MemoryOfFollowers {
  readonly heldBytes: number;
  readonly grownBytes: number;
  readonly grownEvents: number;
  readonly peakBytes: number;
}

async function measureMemory(
  copy: (name: string) => Promise<string>,
  { scale, rounds }: BenchContext,
): Promise<Measured[]> {
  const events = String(MEMORY_EVENTS * scale);
  const measure = async (name: string, { idle = 0, slow = 0 }: CrowdSize): Promise<MemoryOfFollowers> =>
    measureInChild(MEMORY_CHILD, [await copy(name), String(idle), String(slow), events]);
  const found = await interleave(rounds, {
    alone: (round) => measure(`alone-${round}`, {}),
    followed: (round) => measure(`followed-${round}`, CROWD),
  });
  const megabytes = (side: readonly MemoryOfFollowers[], field: 'heldBytes' | 'grownBytes' | 'peakBytes'): number[] =>
    side.map((each) => each[field] / 1e6);
  const unit = 'MB';
  return [
    { name: 'heap of 1,000 idle and 10 slow followers', unit, ours: megabytes(found.followed, 'heldBytes') },
    {
      name: `heap grown by ${formatSize(found.followed[0]?.grownEvents ?? 0)} events`,
      unit,
      ours: megabytes(found.followed, 'grownBytes'),
      target: TARGETS.heapOfFollowers,
    },
    {
      name: 'peak memory with followers',
      unit,
      ours: megabytes(found.followed, 'peakBytes'),
      peer: { name: 'without followers', values: megabytes(found.alone, 'peakBytes') },
    },
  ];
}
