import test from 'ava';
import { runsOf, wrongRuns } from './consumed-events.js';

test('the checker of runs finds events left out, out of order and given again', (t) => {
  const wanted = [1, 3, 5, 7];
  const run = (handled: number[], acknowledged: number[] = []) => ({ handled, acknowledged });
  t.deepEqual(wrongRuns([run([1, 3], [1]), run([]), run([3, 5]), run([3, 5, 7])], wanted), []);
  t.deepEqual(wrongRuns([run([1]), run([5, 7])], wanted), ['run 1 leaves 1 events out']);
  t.deepEqual(wrongRuns([run([1, 3], [1, 3]), run([3, 5, 7])], wanted), ['run 1 handles an acknowledged event again']);
  t.deepEqual(wrongRuns([run([1, 5, 7])], wanted), ['run 0 handles 5 out of order']);
  t.deepEqual(wrongRuns([run([1, 3, 5])], wanted), ['1 events at the end were never handled']);
  t.deepEqual(runsOf('0 handled 1\n1 handled 1\n1 acknowledged 1\n', 2), [run([1]), run([1], [1])]);
});
