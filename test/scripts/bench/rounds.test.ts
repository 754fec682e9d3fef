import test from 'ava';
import { interleave, totalRounds } from '../../../scripts/bench/rounds.js';

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
