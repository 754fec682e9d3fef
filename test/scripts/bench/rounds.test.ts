import test from 'ava';
import { interleave, rateOf, scaled, timeOf, totalRounds } from '../../../scripts/bench/rounds.js';

test('sides take turns, each round in the opposite order, and what warms up does not count', async (t) => {
  const calls: string[] = [];
  const side = (name: string) => (round: number) => {
    calls.push(`${name}${round}`);
    return round;
  };
  const rounds = { warmUp: 1, counted: 2 };
  const results = await interleave(rounds, { a: side('a'), b: side('b') });
  t.deepEqual(calls, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  t.deepEqual(results, { a: [1, 2], b: [1, 2] });
  t.is(totalRounds(rounds), 3);
});

/** Computes until this process has used so many seconds of processors. */
function beBusy(seconds: number): void {
  const from = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(from);
    if (user + system >= 1e6 * seconds) return;
  }
}

test('work is timed on the wall and by processors, which do not run while it waits', async (t) => {
  const busy = await timeOf(() => beBusy(0.05));
  t.true(busy.cpu >= 0.05 && busy.cpu < 0.1, String(busy.cpu));
  const idle = await timeOf(() => new Promise((resolve) => setTimeout(resolve, 200)));
  t.true(idle.wall > 0.15 && idle.cpu < 0.1, JSON.stringify(idle));
  t.deepEqual(rateOf(100, { wall: 2, cpu: 4 }), { wall: 50, cpu: 25 });
  t.deepEqual(scaled({ wall: 2, cpu: 4 }, 1_000), { wall: 2_000, cpu: 4_000 });
});
