import test from 'ava';
import fc from 'fast-check';
import type { EventStore } from '../../../src/store/event-store.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { prepare, type Question, questions, WRITERS, write } from './many-writers.js';

/** Follows the log until the head is `last`, pausing as `pauses` says, and returns what it was given. */
async function followTo(
  store: EventStore,
  { filter }: Question,
  { from, pauses, done }: { from: number; pauses: readonly boolean[]; done: Promise<void> },
): Promise<number[]> {
  const follower = store.log.follow({ from, filter });
  void done.then(() => follower.caughtUp()).then(() => follower.return());
  const seqs: number[] = [];
  for await (const { seq } of follower) {
    seqs.push(seq);
    if (pauses[seqs.length % pauses.length] === true) await new Promise((resolve) => setImmediate(resolve));
  }
  return seqs;
}

test(`followers of random places and speeds miss nothing of ${WRITERS} writers and see nothing twice`, async (t) => {
  const anyFollower = fc.record({
    question: fc.constantFrom(...questions),
    from: fc.nat(300),
    pauses: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
    afterWrites: fc.nat(400),
  });
  const property = fc.asyncProperty(fc.array(anyFollower, { minLength: 24, maxLength: 24 }), async (plans) => {
    const store = await openTestStore(t);
    await prepare(store);
    const written = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(store, writer)));
    const done = written.then(() => undefined);
    const given = plans.map(async ({ question, from, pauses, afterWrites }) => {
      while (store.log.head.seq < afterWrites) await store.log.follow().next();
      return followTo(store, question, { from, pauses, done });
    });
    await written;
    const all = await eventsOf(store);
    for (const [at, { question, from }] of plans.entries()) {
      const expected = all.filter((event) => event.seq >= from && question.passes(event)).map(({ seq }) => seq);
      t.deepEqual(await given[at], expected, JSON.stringify({ from, filter: question.filter }));
    }
    await store.close();
  });
  await fc.assert(property, { numRuns: 3, endOnFailure: true });
});
