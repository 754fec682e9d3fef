import test from 'ava';
import type { Benchmark, Measured } from '../../../scripts/bench/benchmark.js';
import { joinRounds, type Outcome, runBenchmarks } from '../../../scripts/bench/run-benchmarks.js';

const SIZES = { rounds: { warmUp: 0, counted: 3 }, scale: 1, logSizes: [], imageCounts: [], fresh: true };
const TARGET = { of: 'ratio', bound: 'at least', value: 1 } as const;
const PEER = { name: 'a peer', values: [1, 1, 1] };
const NARROW = [2, 2, 2];
const WIDE = [1, 2, 3];

/** Runs a case whose line has these rounds, one list for each time that it is run. */
async function outcomeOf(
  rounds: readonly (readonly number[])[],
  isJudged = true,
): Promise<Outcome & { times: number }> {
  let times = 0;
  const fresh: boolean[] = [];
  const benchmark: Benchmark = {
    name: 'made-up',
    about: '',
    run: async (context) => {
      fresh.push(context.fresh);
      const ours = rounds[times++];
      if (ours === undefined) throw new RangeError('it was run too often');
      const line = { name: 'line', unit: 'calls/s', ours };
      return [
        { ...line, peer: PEER, target: TARGET },
        { ...line, name: 'not judged', ours: WIDE },
      ];
    },
  };
  for await (const outcome of runBenchmarks([benchmark], SIZES, { isJudged, repeats: 2 })) return { ...outcome, times };
  throw new RangeError('there is no outcome');
}

test('a case whose ranges are narrow is run once', async (t) => {
  const { times, lines } = await outcomeOf([NARROW]);
  t.is(times, 1);
  t.is(lines[0]?.repeats, undefined);
});

test('a case is run again while a judged range is too wide, and the rounds of all count', async (t) => {
  const { times, lines } = await outcomeOf([WIDE, NARROW]);
  t.is(times, 2);
  t.deepEqual(lines[0]?.ours, [...WIDE, ...NARROW]);
  t.is(lines[0]?.repeats, 1);
  t.is(lines[0]?.target, TARGET);
});

test('what is too wide still after two repeats stays so', async (t) => {
  const { times, lines, error } = await outcomeOf([WIDE, WIDE, WIDE]);
  t.is(error, undefined);
  t.is(times, 3);
  t.is(lines[0]?.repeats, 2);
  t.is(lines[0]?.ours.length, 9);
});

test('a repeat that fails is a failed case, with the lines of before', async (t) => {
  const { lines, error } = await outcomeOf([WIDE]);
  t.regex(String(error), /too often/);
  t.deepEqual(lines[0]?.ours, WIDE);
});

test('a line without numbers is a failed case', async (t) => {
  for (const rounds of [[Number.NaN], [1, Number.POSITIVE_INFINITY], []]) {
    const { error } = await outcomeOf([rounds]);
    t.regex(String(error), /line has no numbers/);
  }
});

test('what is not judged has no targets and is never run again', async (t) => {
  const { times, lines } = await outcomeOf([WIDE], false);
  t.is(times, 1);
  t.is(lines[0]?.target, undefined);
});

test('lines that share a side share the joined one, and a repeat must have the same lines', (t) => {
  const line = (ours: readonly number[], peer: string): Measured => ({
    name: 'line',
    unit: '',
    ours,
    peer: { name: peer, values: ours },
  });
  const [ours, more] = [
    [1, 2],
    [3, 4],
  ] as const;
  const joined = joinRounds([line(ours, 'a'), line(ours, 'b')], [line(more, 'a'), line(more, 'b')], 1);
  t.deepEqual(joined[0]?.ours, [1, 2, 3, 4]);
  t.is(joined[0]?.ours, joined[1]?.ours);
  t.deepEqual(joined[1]?.peer?.values, [1, 2, 3, 4]);
  t.throws(() => joinRounds([line(ours, 'a')], [line(more, 'b')], 1), { message: /not measured again/ });
});
