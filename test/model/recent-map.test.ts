import test from 'ava';
import { RecentMap } from '../../src/model/collections.js';

test('one entry more than the limit drops the one that was set longest ago', (t) => {
  const dropped: number[] = [];
  const map = new RecentMap<string, number>(2, (value) => dropped.push(value));
  map.set('a', 1).set('b', 2).set('a', 3);
  t.deepEqual(
    [...map],
    [
      ['b', 2],
      ['a', 3],
    ],
  );
  map.set('c', 4);
  t.deepEqual(
    [...map],
    [
      ['a', 3],
      ['c', 4],
    ],
  );
  t.deepEqual(dropped, [2]);
  map.delete('a');
  map.set('d', 5);
  t.deepEqual([...map.keys()], ['c', 'd']);
  t.deepEqual(dropped, [2], 'what is replaced or deleted is not dropped');
});
