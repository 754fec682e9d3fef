import test from 'ava';
import type { OpenRows } from '../../src/log/log.js';
import { OpenReads } from '../../src/log/event-pages.js';

test('a read that must restart keeps no iterator: not one from before, nor one that it was about to make', async (t) => {
  const reads = new OpenReads();
  const read = reads.beginEvents();
  const closed: string[] = [];
  const rows = (name: string): OpenRows => ({ close: async () => void closed.push(name) });
  const before = rows('before');
  t.is(read.opened(before), before);
  t.false(read.wasInterrupted);
  await reads.interruptEvents();
  t.throws(() => read.opened(rows('after')));
  t.deepEqual(closed, ['before', 'after']);
  t.true(read.wasInterrupted);
  reads.endEvents(read);
  t.false(reads.beginEvents().wasInterrupted);
});
