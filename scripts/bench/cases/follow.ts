import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { lifeLog } from '../inputs/life-log.js';
import { rowPerEvent } from '../inputs/row-per-event.js';
import { FOR_AWAIT, NEXTV } from '../level-reads.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, type Timed } from '../rounds.js';
import { TARGETS } from '../targets.js';

const READ_CHILD = new URL('../children/rate-of-reading.js', import.meta.url);

/**
 * `follow` from zero and `read` (events checked and decoded), against both forms of
 * `level-reads.ts` over the same records, a row each, each in its own process.
 */
export const followBenchmark: Benchmark = {
  name: 'follow',
  about: 'follow from zero and read, against the raw iterator of level over the same records',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const { directory } = await lifeLog(size, context);
  const rows = await rowPerEvent(directory, context);
  const rateOf = (way: string): Promise<Timed> => {
    const args = [way, directory, rows, String(size)];
    return measureInChild<Timed>(READ_CHILD, args);
  };
  const rates = await interleave(context.rounds, {
    iterator: () => rateOf('iterator'),
    follow: () => rateOf('follow'),
    read: () => rateOf('read'),
    nextv: () => rateOf('nextv'),
  });
  const iterator = { ...FOR_AWAIT, values: rates.iterator };
  const nextv = { ...NEXTV, values: rates.nextv };
  const line = { unit: 'events/s' };
  return [
    { ...line, name: 'follow from zero', ours: rates.follow, peer: iterator, target: TARGETS.follow },
    { ...line, name: 'follow from zero, to nextv', ours: rates.follow, peer: nextv, beside: TARGETS.follow },
    { ...line, name: 'read', ours: rates.read, peer: iterator },
    { ...line, name: 'read, to nextv', ours: rates.read, peer: nextv },
  ];
}
