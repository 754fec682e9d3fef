import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { lifeLog } from '../inputs/life-log.js';
import { atEachSize } from '../log-sizes.js';
import { interleave } from '../rounds.js';
import { TARGETS } from '../targets.js';

const REPLAY_CHILD = new URL('../children/rate-of-replay.js', import.meta.url);

/**
 * A full replay: every event read, checked, decoded and folded into all views, against the iterator of `level` over the same rows, each
 * in a process of its own that opens the database anew for each turn. The peer is what the documentation of `level` shows, `for await (const [key, value] of
 * db.iterator())` with keys and values as views; `nextv(1_000)` is there for information. Without the check of the hashes a replay is
 * never done: that line says what the check costs.
 */
export const replayBenchmark: Benchmark = {
  name: 'replay',
  about: 'a full replay into all views, against the raw iterator of level over the same records',
  run: (context) => atEachSize(context, (size) => measure(size, context)),
};

async function measure(size: number, context: BenchContext): Promise<Measured[]> {
  const { directory } = await lifeLog(size, context);
  const rateOf = async (way: string): Promise<number> => {
    const args = [way, directory, String(size)];
    return (await measureInChild<{ eventsPerSecond: number }>(REPLAY_CHILD, args)).eventsPerSecond;
  };
  const rates = await interleave(context.rounds, {
    iterator: () => rateOf('iterator'),
    checked: () => rateOf('checked'),
    unchecked: () => rateOf('unchecked'),
    nextv: () => rateOf('nextv'),
  });
  const iterator = { name: 'level, for await', values: rates.iterator };
  const nextv = { name: 'level, nextv(1,000)', values: rates.nextv };
  const line = { unit: 'events/s' };
  return [
    { ...line, name: 'replay, hashes checked', ours: rates.checked, peer: iterator, target: TARGETS.replayChecked },
    {
      ...line,
      name: 'replay, hashes unchecked',
      ours: rates.unchecked,
      peer: iterator,
      target: TARGETS.replayUnchecked,
    },
    { ...line, name: 'replay, by the faster peer', ours: rates.checked, peer: nextv },
  ];
}
