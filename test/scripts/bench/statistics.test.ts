import test, { type ExecutionContext } from 'ava';
import type { Measured, Target } from '../../../scripts/bench/benchmark.js';
import type { Figure } from '../../../scripts/bench/rounds.js';
import {
  isMet,
  isTooWide,
  judgedOf,
  oursOf,
  percentileOf,
  ratioOf,
  slopeOf,
  spreadOf,
  steepestSlopeOf,
} from '../../../scripts/bench/statistics.js';

test('a spread is the middle, the least and the most, and the quartiles', (t) => {
  t.deepEqual(spreadOf([5, 1, 9]), { median: 5, min: 1, max: 9, quartiles: [3, 7] });
  t.deepEqual(spreadOf([4, 1, 9, 2]), { median: 3, min: 1, max: 9, quartiles: [1.75, 5.25] });
  t.deepEqual(spreadOf([7, 1, 6, 2, 5, 3, 4]).quartiles, [2.5, 5.5]);
  t.deepEqual(spreadOf([3]), { median: 3, min: 3, max: 3, quartiles: [3, 3] });
  t.throws(() => spreadOf([]), { instanceOf: RangeError });
});

test('a percentile is the value that so many do not exceed', (t) => {
  const values = Array.from({ length: 1_000 }, (_, at) => 1_000 - at);
  t.is(percentileOf(values, 99), 990);
  t.is(percentileOf(values, 50), 500);
  t.is(percentileOf([7], 99), 7);
  t.throws(() => percentileOf([], 50), { instanceOf: RangeError });
});

test('a ratio is the median of the ratios round by round, with their range', (t) => {
  const ratio = ratioOf({ name: '', unit: '', ours: [1, 2, 9], peer: { name: '', values: [2, 1, 3] } });
  t.deepEqual(ratio, { median: 2, min: 0.5, max: 3, quartiles: [1.25, 2.5] });
});

const timed = (wall: number, cpu: number): Figure => ({ wall, cpu });

test('each clock has its own numbers, and what is not timed has none of processors', (t) => {
  const line = { name: '', unit: '', ours: [timed(8, 1), timed(6, 3)], peer: { name: '', values: [timed(2, 1), 4] } };
  t.is(oursOf(line)?.median, 7);
  t.is(oursOf(line, 'cpu')?.median, 2);
  t.is(ratioOf(line)?.median, 2.75);
  t.is(ratioOf(line, 'cpu'), undefined);
  t.is(oursOf({ ...line, ours: [5] }, 'cpu'), undefined);
});

test('a target is judged by the clock that it names, or by both, each of which must meet it', (t) => {
  const lineBy = (by: Target['by']): Measured => ({
    name: '',
    unit: '',
    ours: [timed(3, 1)],
    peer: { name: '', values: [timed(1, 1)] },
    target: { of: 'ratio', bound: 'at least', value: 2, by },
  });
  const verdicts = (['wall', 'cpu', 'both', undefined] as const).map((by) => isMet(lineBy(by)));
  t.deepEqual(verdicts, [true, false, false, true]);
  t.deepEqual(
    judgedOf(lineBy('both')).map(({ clock, figure, attainment }) => [clock, figure, attainment]),
    [
      ['wall', 3, 1.5],
      ['cpu', 1, 0.5],
    ],
  );
});

test('a range is too wide when its quartiles are more than a quarter apart, by any clock that is judged', (t) => {
  const target = { of: 'ours', bound: 'at least', value: 1, by: 'wall' } as const;
  const narrow = { name: '', unit: '', ours: [100, 100, 125, 125, 900], target };
  const wide = { ...narrow, ours: [100, 100, 125, 126, 126] };
  t.false(isTooWide(narrow));
  t.true(isTooWide(wide));
  t.false(isTooWide({ ...wide, target: undefined }));
  const byProcessors = { ...narrow, ours: [timed(1, 1), timed(1, 2), timed(1, 3)] };
  t.false(isTooWide(byProcessors));
  t.true(isTooWide({ ...byProcessors, target: { ...target, by: 'both' } }));
  // Each side may be noisy where both are so in the same rounds.
  const peer = { name: '', values: [1, 5, 9] };
  t.false(isTooWide({ ...narrow, ours: [2, 10, 18], peer, target: { ...target, of: 'ratio' } }));
  t.false(isTooWide({ ...narrow, ours: [-3, 0, 4] }));
});

const judged = test.macro({
  title: (_, target: Target, ours: number, attainment: number) =>
    `${ours} reaches ${target.bound} ${target.value} of ${target.of} by a factor of ${attainment}`,
  exec: (t: ExecutionContext, target: Target, ours: number, attainment: number) => {
    const measured = { name: '', unit: '', ours: [ours], peer: { name: '', values: [10] }, target };
    t.deepEqual(
      judgedOf(measured).map((each) => each.attainment),
      [attainment],
    );
    t.is(isMet(measured), attainment >= 1);
  },
});
test(judged, { of: 'ours', bound: 'at least', value: 4 }, 8, 2);
test(judged, { of: 'ours', bound: 'at least', value: 4 }, 2, 0.5);
test(judged, { of: 'ours', bound: 'at most', value: 4 }, 8, 0.5);
test(judged, { of: 'ours', bound: 'at most', value: 4 }, 4, 1);
test(judged, { of: 'ratio', bound: 'at least', value: 2 }, 40, 2);
test(judged, { of: 'ratio', bound: 'at most', value: 2 }, 40, 0.5);

test('what is below 0 is at most what is above', (t) => {
  const target = { of: 'ours', bound: 'at most', value: 0.1 } as const;
  t.true(isMet({ name: '', unit: '', ours: [-0.5], target }));
});

test('a line with a target for its ratio and no peer is refused', (t) => {
  const target = { of: 'ratio', bound: 'at least', value: 4 } as const;
  t.throws(() => isMet({ name: 'alone', unit: '', ours: [1], target }), { message: /alone/ });
});

test('a slope is the power that values grow with', (t) => {
  const sizes = [1_000, 10_000, 100_000, 1_000_000];
  const slope = (valueAt: (size: number) => number): string =>
    slopeOf(sizes.map((size) => ({ size, value: valueAt(size) }))).toFixed(3);
  t.is(
    slope(() => 7),
    '0.000',
  );
  t.is(
    slope((size) => 3 * size),
    '1.000',
  );
  t.is(
    slope((size) => size ** 2),
    '2.000',
  );
  t.is(
    slope((size) => 5 / Math.sqrt(size)),
    '-0.500',
  );
  t.throws(() => slopeOf([{ size: 10, value: 1 }]), { instanceOf: RangeError });
});

test('the steepest slope is that of the last two sizes where a fixed cost hides it', (t) => {
  const sizes = [1_000, 10_000, 100_000, 1_000_000];
  const steepest = (valueAt: (size: number) => number): number =>
    steepestSlopeOf(sizes.map((size) => ({ size, value: valueAt(size) })));
  const hidden = steepest((size) => 100_000 + size);
  t.is(hidden.toFixed(3), Math.log10(1_100_000 / 200_000).toFixed(3));
  // What grows at first and then no more is as steep as the line through all.
  t.is(steepest((size) => Math.min(size, 100_000)).toFixed(3), '0.700');
  t.is(steepest((size) => size).toFixed(3), '1.000');
  t.throws(() => steepestSlopeOf([{ size: 10, value: 1 }]), { instanceOf: RangeError });
});
