import test from 'ava';
import fc from 'fast-check';
import { MAX_SNAPSHOTS } from '../../../src/limits.js';
import { thinned } from '../../../src/store/snapshots/snapshot-folder.js';

test('what is not too many stays', (t) => {
  t.deepEqual(thinned([], 2), []);
  t.deepEqual(thinned([5, 9], 2), []);
});

test('the one goes whose neighbours are nearest to each other', (t) => {
  t.deepEqual(thinned([10, 20, 22, 30], 3), [22]);
  t.deepEqual(thinned([1, 20, 30, 40], 3), [1]);
  t.deepEqual(thinned([10, 20, 29, 30], 3), [29]);
});

test('the newest never goes', (t) => {
  t.deepEqual(thinned([100, 200, 201], 1), [200, 100]);
  t.deepEqual(thinned([7], 0), []);
});

test('snapshots that come one by one are never more than MAX_SNAPSHOTS, and stay spread over the log', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 30, maxLength: 120 }), (steps) => {
      let kept: number[] = [];
      let seq = 0;
      for (const step of steps) {
        seq += step;
        kept.push(seq);
        const gone = thinned(kept, MAX_SNAPSHOTS);
        kept = kept.filter((each) => !gone.includes(each));
        t.true(kept.length <= MAX_SNAPSHOTS);
        t.is(kept.at(-1), seq);
      }
      const gaps = kept.map((each, index) => each - (kept[index - 1] ?? 0));
      t.true(Math.max(...gaps) <= (4 * seq) / MAX_SNAPSHOTS + 1_000, `${gaps}`);
    }),
    { numRuns: 50 },
  );
});
