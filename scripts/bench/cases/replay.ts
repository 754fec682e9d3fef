import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { lifeLog } from '../inputs/life-log.js';
import { rowPerEvent } from '../inputs/row-per-event.js';
import { FOR_AWAIT, NEXTV } from '../level-reads.js';
import { atEachSize } from '../log-sizes.js';
import { interleave, type Timed } from '../rounds.js';
import { TARGETS } from '../targets.js';

const REPLAY_CHILD = new URL('../children/rate-of-replay.js', import.meta.url);

/**
 * A full replay (events read, checked, decoded, folded into all views) against both forms of
 * `level-reads.ts` over the same records, a row each, each in its own process that reopens the database every
 * turn. A replay never skips the hash check: the line without it shows its cost.
 */
export const replayBenchmark: Benchmark = {
  name: 'replay',
  about: 'a full replay into all views, against the raw iterator of level over the same records',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const { directory } = await lifeLog(size, context);
  const rows = await rowPerEvent(directory, context);
  const rateOf = (way: string): Promise<Timed> => {
    const args = [way, directory, rows, String(size)];
    return measureInChild<Timed>(REPLAY_CHILD, args);
  };
  const rates = await interleave(context.rounds, {
    iterator: () => rateOf('iterator'),
    checked: () => rateOf('checked'),
    unchecked: () => rateOf('unchecked'),
    nextv: () => rateOf('nextv'),
  });
  const iterator = { ...FOR_AWAIT, values: rates.iterator };
  const nextv = { ...NEXTV, values: rates.nextv };
  const [checked, unchecked] = [TARGETS.replayChecked, TARGETS.replayUnchecked];
  const line = { unit: 'events/s' };
  return [
    { ...line, name: 'replay, hashes checked', ours: rates.checked, peer: iterator, target: checked },
    { ...line, name: 'replay, hashes checked, to nextv', ours: rates.checked, peer: nextv, beside: checked },
    { ...line, name: 'replay, hashes unchecked', ours: rates.unchecked, peer: iterator, target: unchecked },
    { ...line, name: 'replay, hashes unchecked, to nextv', ours: rates.unchecked, peer: nextv, beside: unchecked },
  ];
}
