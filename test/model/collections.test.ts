import test from 'ava';
import { MAX_REMEMBERED } from '../../src/limits.js';
import { countBefore, Memo, RecentMap } from '../../src/model/collections.js';

test('a text is made once, until MAX_REMEMBERED others were, and an error is not remembered', (t) => {
  const made: string[] = [];
  const memo = new Memo((text) => {
    made.push(text);
    if (text === 'wrong') throw new RangeError(text);
    return text.toUpperCase();
  });
  t.is(memo.of('a'), 'A');
  t.is(memo.of('a'), 'A');
  t.deepEqual(made, ['a']);
  for (const _ of [1, 2]) t.throws(() => memo.of('wrong'), { instanceOf: RangeError });
  t.is(made.length, 3);
  for (let at = 0; at < MAX_REMEMBERED; at += 1) memo.of(`${at}`);
  t.is(memo.of('a'), 'A');
  t.is(made.filter((text) => text === 'a').length, 2);
});

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

test('places before a key are counted in sorted lists of every size', (t) => {
  for (let size = 0; size < 20; size++) {
    const odd = Array.from({ length: size }, (_, at) => 2 * at + 1);
    for (let key = 0; key <= 2 * size + 1; key++) {
      const before = odd.filter((each) => each < key).length;
      t.is(
        countBefore(size, (place) => (odd[place] ?? Number.NaN) < key),
        before,
      );
    }
  }
});
