import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { formatSize } from '../format-number.js';
import { interleave, type Timed } from '../rounds.js';
import { TARGETS } from '../targets.js';

const CHILD = new URL('../children/cost-of-sse-followers.js', import.meta.url);
const FOLLOWERS = 10_000;
const EVENTS = 32_000;

/** Output of the child; see there. */
interface CostOfFollowers {
  readonly connections: number;
  readonly alone: Timed;
  readonly followed: Timed;
  readonly residentBytes: number;
}

/** Cost of idle followers over HTTP to the writer of the store, and the memory of the process that serves them. */
export const serveFollowersBenchmark: Benchmark = {
  name: 'serve-followers',
  about: 'writes while 10,000 clients follow over server-sent events, of 1,000 names; and their memory',
  async run({ directory, rounds, scale }: BenchContext): Promise<readonly Measured[]> {
    const [followers, events] = [Math.ceil(FOLLOWERS * scale), Math.ceil(EVENTS * scale)];
    const { costs } = await interleave<'costs', CostOfFollowers>(rounds, {
      costs: async (round) => {
        const args = [join(directory, String(round)), String(followers), String(events)];
        const cost = await measureInChild<CostOfFollowers>(CHILD, args);
        if (cost.connections !== followers) throw new Error(`${cost.connections} of ${followers} clients follow`);
        return cost;
      },
    });
    const size = formatSize(followers);
    return [
      {
        name: `writes, 64 at once, with ${size} followers over HTTP`,
        unit: 'events/s',
        ours: costs.map(({ followed }) => followed),
        peer: { name: 'without followers', values: costs.map(({ alone }) => alone) },
        target: TARGETS.servedFollowed,
      },
      {
        name: `resident memory with ${size} followers over HTTP`,
        unit: 'MB',
        ours: costs.map(({ residentBytes }) => residentBytes / 1e6),
        target: TARGETS.memoryOfServedFollowers,
      },
    ];
  },
};
