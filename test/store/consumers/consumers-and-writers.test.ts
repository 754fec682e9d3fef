import test from 'ava';
import fc from 'fast-check';
import type { StoredEvent } from '../../../src/model/events.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { prepare, type Question, questions, WRITERS, write } from '../read/many-writers.js';
import { seqsOf } from './taking.js';

/** How long a consumer is held: how many events it takes at the most, and how many of them it acknowledges. */
interface Hold {
  readonly takes: number;
  readonly acks: number;
}

interface Plan {
  readonly question: Question;
  readonly from: number;
  /** Repeated as long as there is something to give. */
  readonly holds: readonly Hold[];
}

/** What one holder was given, and the first of it that it acknowledged. */
interface Held {
  readonly given: readonly number[];
  readonly acknowledged: readonly number[];
}

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  question: fc.constantFrom(...questions),
  from: fc.nat(200),
  holds: fc.array(fc.record({ takes: fc.integer({ min: 20, max: 200 }), acks: fc.integer({ min: 10, max: 200 }) }), {
    minLength: 1,
    maxLength: 5,
  }),
});

/** Holds the consumer again and again until the writers are done and it has caught up. */
async function consume(store: EventStore, name: string, plan: Plan, done: Promise<void>): Promise<Held[]> {
  const held: Held[] = [];
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  for (let at = 0; ; at++) {
    const mayBeLast = isDone;
    const hold = plan.holds[at % plan.holds.length] as Hold;
    const result = await holdOnce(store, name, plan, hold, done);
    held.push(result);
    if (mayBeLast && result.given.length < hold.takes && result.acknowledged.length === result.given.length)
      return held;
  }
}

async function holdOnce(
  store: EventStore,
  name: string,
  { question, from }: Plan,
  { takes, acks }: Hold,
  done: Promise<void>,
): Promise<Held> {
  const consumer = store.consumer(name, { from, filter: question.filter });
  const given: StoredEvent[] = [];
  const events = consumer[Symbol.asyncIterator]();
  void done
    .then(() => consumer.caughtUp())
    .then(
      () => events.return?.(),
      // It took as many as it wanted before.
      () => undefined,
    );
  while (given.length < takes) {
    const { value, done: isOver } = await events.next();
    if (isOver === true) break;
    given.push(value);
  }
  await Promise.all(given.slice(0, acks).map((event) => consumer.ack(event)));
  await consumer.close();
  return { given: seqsOf(given), acknowledged: seqsOf(given.slice(0, acks)) };
}

test(`consumers beside ${WRITERS} writers are given each event at least once, from the first unacknowledged one on`, async (t) => {
  const property = fc.asyncProperty(fc.array(anyPlan, { minLength: 6, maxLength: 6 }), async (plans) => {
    const store = await openTestStore(t);
    await prepare(store);
    const written = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(store, writer)));
    const done = written.then(() => undefined);
    const consumed = plans.map((plan, at) => consume(store, `c${at}`, plan, done));
    await written;
    const all = await eventsOf(store);
    for (const [at, plan] of plans.entries()) {
      const what = JSON.stringify({ ...plan, question: plan.question.filter });
      const wanted = seqsOf(all.filter((event) => event.seq >= plan.from && plan.question.passes(event)));
      let acknowledged = 0;
      for (const held of await (consumed[at] as Promise<Held[]>)) {
        t.deepEqual(held.given, wanted.slice(acknowledged, acknowledged + held.given.length), what);
        acknowledged += held.acknowledged.length;
      }
      t.is(acknowledged, wanted.length, what);
    }
    await store.close();
  });
  await fc.assert(property, { numRuns: 2, endOnFailure: true });
});
