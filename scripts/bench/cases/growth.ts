import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { formatSize } from '../format-number.js';
import { agedStore, grownStore } from '../inputs/grown-store.js';
import { shareCopy } from '../inputs/shared-copy.js';
import { type Figure, interleave, type Timed } from '../rounds.js';
import { oursOf, steepestSlopeOf } from '../statistics.js';
import { TARGETS } from '../targets.js';

/** Results of three child processes for one store. */
interface Costs {
  readonly images: number;
  readonly events: number;
  /** For a copy whose tables were never read. */
  readonly firstOpenMs: Timed;
  /** With another open shortly before. */
  readonly openMs: Timed;
  readonly heapBytes: number;
  /** After requesting every id once; from a separate child, as that makes requests cheaper. */
  readonly askedBytes: number;
  readonly getUs: Timed;
  readonly searchUs: Timed;
  readonly childrenUs: Timed;
  readonly historyUs: Timed;
  readonly atMs: Timed;
  readonly createUs: Timed;
}

interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Whether the cost is for the whole store or one item; absent if informational. */
  readonly of?: 'store' | 'item';
  readonly value: (costs: Costs) => Figure;
}

const MEASURES: readonly Measure[] = [
  { name: 'append, 64 creates at once', unit: 'us/create', of: 'item', value: ({ createUs }) => createUs },
  { name: 'open', unit: 'ms', of: 'store', value: ({ openMs }) => openMs },
  { name: 'open for the first time', unit: 'ms', of: 'store', value: ({ firstOpenMs }) => firstOpenMs },
  { name: 'get, and a field read', unit: 'us', of: 'item', value: ({ getUs }) => getUs },
  { name: 'search by prefix', unit: 'us', of: 'item', value: ({ searchUs }) => searchUs },
  { name: 'children', unit: 'us', of: 'item', value: ({ childrenUs }) => childrenUs },
  { name: 'history of an image', unit: 'us', of: 'item', value: ({ historyUs }) => historyUs },
  { name: 'at', unit: 'ms', of: 'store', value: ({ atMs }) => atMs },
  { name: 'memory', unit: 'bytes/image', of: 'item', value: ({ heapBytes, images }) => heapBytes / images },
  { name: 'memory, every id asked for', unit: 'bytes/image', value: ({ askedBytes, images }) => askedBytes / images },
];
const DISK = { name: 'disk', of: 'item' } as const;
/**
 * Tolerated excess growth, as a power of the size. n log n is n^1.1 from 1,000 to 1,000,000; and
 * data cached for a small store is read from disk for a large one.
 */
const TOLERANCE = 0.15;
const POWER = { store: 1, item: 0 } as const;

/** Milliseconds after which a store treats a file as no longer written to. */
const SETTLED_MS = 2_100;
const LIVE_IMAGES = 1_000;
/** Events of the live images and as many deleted ones. */
const YOUNG_EVENTS = 5_000;
/** Allowed increase of the open time for a log hundreds of times as long. */
const AGED = { of: 'ratio', bound: 'at most', value: 1.5 } as const;

const FIRST_OPEN_CHILD = new URL('../children/time-of-first-open.js', import.meta.url);
const COSTS_CHILD = new URL('../children/costs-of-a-store.js', import.meta.url);
const HEAP_CHILD = new URL('../children/heap-of-open-store.js', import.meta.url);
/** Newly created images must not be in any store. */
const FIRST_NEW_IMAGE = 10_000_000;

/** Costs for 1,000 to 1,000,000 images, in fresh processes, and for few images with a long log. */
export const growthBenchmark: Benchmark = {
  name: 'growth',
  about: 'append, open, get, search, children, history, at, memory, disk as images grow; and as the log ages',
  async run(context) {
    const { imageCounts, rounds } = context;
    const stores = new Map<string, string>();
    for (const count of imageCounts) stores.set(String(count), await grownStore(count, context));
    const [young, aged] = ['young', 'aged'];
    stores.set(young, await agedStore(LIVE_IMAGES, YOUNG_EVENTS, context));
    stores.set(aged, await agedStore(LIVE_IMAGES, imageCounts.at(-1) ?? LIVE_IMAGES, context));
    const sides = [...stores].map(([name, directory]) => [name, () => costsOf(directory, context)] as const);
    const costs = await interleave<string, Costs>(rounds, Object.fromEntries(sides));
    const lines = imageCounts.flatMap((size) => linesOf(size, costs[String(size)] ?? []));
    for (const size of imageCounts) lines.push(await diskLine(size, stores.get(String(size)) ?? '', costs));
    return [...lines, ...slopesOf(lines), ...agedLines(costs[aged] ?? [], costs[young] ?? [])];
  },
};

async function costsOf(original: string, { directory }: BenchContext): Promise<Costs> {
  // A writable copy, so that every side starts from the same state.
  const withCopy = async <Result>(measure: (copy: string) => Promise<Result>): Promise<Result> => {
    const copy = await shareCopy(original, join(directory, 'copy'));
    try {
      return await measure(copy);
    } finally {
      await rm(copy, { recursive: true });
    }
  };
  const costs = await withCopy(async (copy) => {
    // Freshly written files may still change, so the next open rereads them.
    await setTimeout(SETTLED_MS);
    const first = await measureInChild<Pick<Costs, 'firstOpenMs'>>(FIRST_OPEN_CHILD, [copy]);
    const others = await measureInChild<Omit<Costs, 'firstOpenMs' | 'askedBytes'>>(COSTS_CHILD, [
      copy,
      String(FIRST_NEW_IMAGE),
    ]);
    return { ...first, ...others };
  });
  const asked = await withCopy((copy) => measureInChild<Pick<Costs, 'askedBytes'>>(HEAP_CHILD, [copy]));
  return { ...costs, ...asked };
}

function linesOf(size: number, costs: readonly Costs[]): Measured[] {
  return MEASURES.map(({ name, unit, value }) => {
    const isJudged = name === 'memory' && size === 1_000_000;
    const target = isJudged ? TARGETS.memory : undefined;
    return { name, unit, ours: costs.map(value), size, sizeOf: 'images', target };
  });
}

async function diskLine(
  size: number,
  directory: string,
  costs: Readonly<Record<string, readonly Costs[]>>,
): Promise<Measured> {
  const events = costs[String(size)]?.[0]?.events ?? 1;
  const ours = [(await bytesBelow(join(directory, 'log'))) / events];
  return { name: DISK.name, unit: 'bytes/event', ours, size, sizeOf: 'images' };
}

async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).size;
  return bytes;
}

/** Returns each measure's growth exponent, overall or in the last decade, judged by its input's. */
function slopesOf(lines: readonly Measured[]): Measured[] {
  return [...MEASURES, DISK].flatMap(({ name, of }) => {
    const points = lines
      .filter((line) => line.name === name)
      .map((line) => ({ size: line.size ?? 0, value: oursOf(line)?.median ?? Number.NaN }));
    if (of === undefined || points.length < 2) return [];
    const target = { of: 'ours', bound: 'at most', value: POWER[of] + TOLERANCE } as const;
    return [{ name: `exponent of n: ${name}`, unit: '', ours: [steepestSlopeOf(points)], target }];
  });
}

function agedLines(aged: readonly Costs[], young: readonly Costs[]): Measured[] {
  const line = (prefix: string, value: (costs: Costs) => Figure): Measured => ({
    name: `${prefix} 1,000 images, ${formatSize(aged[0]?.events ?? 0)} events`,
    unit: 'ms',
    ours: aged.map(value),
    peer: { name: `the same, ${formatSize(young[0]?.events ?? 0)} events`, values: young.map(value) },
  });
  const opened = line('open', ({ openMs }) => openMs);
  return [{ ...opened, target: AGED }, line('open for the first time', ({ firstOpenMs }) => firstOpenMs)];
}
