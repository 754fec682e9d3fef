import test from 'ava';
import { Unacknowledged } from '../../../src/store/consumers/consumer.js';

test('what is acknowledged waits no more, and holds the position back until it is durable', (t) => {
  const events = new Unacknowledged();
  t.is(events.oldest, undefined);
  t.is(events.oldestUndurable, undefined);
  for (const seq of [2, 5, 9]) events.give(seq);
  events.acknowledge(2);
  t.deepEqual([events.count, events.oldest, events.oldestUndurable], [2, 5, 2]);
  events.settle(4);
  t.deepEqual([events.count, events.oldest, events.oldestUndurable], [2, 5, 5]);
  events.settle(9);
  t.deepEqual([events.count, events.oldest, events.oldestUndurable], [0, undefined, undefined]);
});

test('acknowledgements that failed wait again, in the order of the events', (t) => {
  const events = new Unacknowledged();
  for (const seq of [1, 2, 3, 4]) events.give(seq);
  for (const seq of [1, 2, 3]) events.acknowledge(seq);
  events.restore(1);
  t.deepEqual([events.oldest, events.oldestUndurable, events.count], [1, 1, 2]);
  events.restore(2);
  t.deepEqual([events.oldest, events.count], [1, 3]);
  // The third became durable: what is before it needs no other acknowledgement.
  events.settle(3);
  t.deepEqual([events.oldest, events.count], [4, 1]);
  events.restore(3);
  t.deepEqual([events.oldest, events.count], [4, 1]);
});
