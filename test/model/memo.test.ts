import test from 'ava';
import { MAX_REMEMBERED } from '../../src/limits.js';
import { Memo } from '../../src/model/collections.js';

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
