import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { borrowStore, snapshotsOf } from '../inputs/borrowed-store.js';
import { lifeLog } from '../inputs/life-log.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, rateOf, type Timed } from '../rounds.js';
import { TARGETS } from '../targets.js';

const OPEN_CHILD = new URL('../children/time-of-open.js', import.meta.url);

/** Opening from the newest snapshot, against a full replay, each in a fresh process. */
export const reopenBenchmark: Benchmark = {
  name: 'reopen',
  about: 'open from a snapshot, against a full replay of the same log',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const { directory } = await lifeLog(size, context);
  const snapshots = await snapshotsOf(directory);
  const borrowed = (name: string, keeps: (snapshot: string) => boolean): Promise<string> =>
    borrowStore(directory, join(context.directory, `${name}-${size}`), keeps);
  const clean = await borrowed('clean', () => true);
  const crashed = await borrowed('crashed', (snapshot) => snapshot !== snapshots.at(-1));
  const bare = await borrowed('bare', () => false);
  const open = async (path: string): Promise<Timed> => {
    const { events, ...seconds } = await measureInChild<Timed & { events: number }>(OPEN_CHILD, [path]);
    if (events !== size) throw new RangeError(`the store has ${events} events, expected ${size}`);
    return rateOf(1, seconds);
  };
  const rates = await interleave(context.rounds, {
    replay: () => open(bare),
    snapshot: () => open(clean),
    crashed: () => open(crashed),
  });
  const line = { unit: 'opens/s', peer: { name: 'full replay', values: rates.replay } };
  return [
    { ...line, name: 'open from a snapshot', ours: rates.snapshot, target: TARGETS.snapshotToReplay },
    { ...line, name: 'open, the newest snapshot missing', ours: rates.crashed },
  ];
}
