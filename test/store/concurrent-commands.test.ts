import test from 'ava';
import fc from 'fast-check';
import type { EventBody } from '../../src/model/events.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed } from '../support/image-configs.js';
import { stateOf } from '../support/store-state.js';
import { anyCommand, type Operation, outcomeOf } from '../support/store-operations.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

/** What events tell, without when and in which transaction. */
async function bodiesOf(store: EventStore, from: number): Promise<Omit<EventBody, 'type'>[]> {
  const events = await eventsOf(store, { from });
  return events.map(({ time: _, seq, transaction, ...body }) => ({
    ...body,
    at: [seq, transaction.first].map((n) => n - from),
    count: transaction.count,
  }));
}

async function clear(...stores: readonly EventStore[]): Promise<void> {
  for (const store of stores) for (const id of [...store.map().keys()]) await store.delete(id);
}

async function oneByOne(store: EventStore, operations: readonly Operation[]): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (const operation of operations) outcomes.push(await outcomeOf(store, operation));
  return outcomes;
}

test('commands of one turn give the same as one after another', async (t) => {
  const together = await openTestStore(t);
  const apart = await openTestStore(t);
  const property = fc.asyncProperty(
    fc.array(anyCommand, { maxLength: 12 }),
    fc.array(anyCommand, { minLength: 2, maxLength: 16 }),
    async (before, operations) => {
      await clear(together, apart);
      for (const store of [together, apart]) await oneByOne(store, before);
      const starts = [together, apart].map((store) => store.log.head.seq + 1) as [number, number];
      const [atOnce, inTurn] = await Promise.all([
        Promise.all(operations.map((operation) => outcomeOf(together, operation))),
        oneByOne(apart, operations),
      ]);
      t.deepEqual(atOnce, inTurn);
      t.deepEqual(stateOf(together), stateOf(apart));
      t.deepEqual(await bodiesOf(together, starts[0]), await bodiesOf(apart, starts[1]));
    },
  );
  await fc.assert(property, { numRuns: 120 });
});

const inOneTurn = test.macro({
  async exec(t, operations: readonly Operation[], expected: readonly unknown[]) {
    const store = await openTestStore(t);
    for (const image of ['a', 'b', 'c']) await outcomeOf(store, { op: 'create', image });
    t.deepEqual(await Promise.all(operations.map((operation) => outcomeOf(store, operation))), expected);
  },
  title: (given) => `in one turn, ${given}`,
});

test(
  'two images cannot become each other’s parents',
  inOneTurn,
  [
    { op: 'setParent', image: 'a', parent: 'b' },
    { op: 'setParent', image: 'b', parent: 'a' },
  ],
  ['done', 'PARENT_CYCLE'],
);
test(
  'three images cannot close a circle',
  inOneTurn,
  [
    { op: 'setParent', image: 'a', parent: 'b' },
    { op: 'setParent', image: 'b', parent: 'c' },
    { op: 'setParent', image: 'c', parent: 'a' },
  ],
  ['done', 'done', 'PARENT_CYCLE'],
);
test(
  'a new image can get a parent and a name',
  inOneTurn,
  [
    { op: 'create', image: 'd' },
    { op: 'setParent', image: 'd', parent: 'a' },
    { op: 'tag', image: 'd', name: 'docker.io/library/x:1', overwrite: true },
  ],
  [idNamed('d'), 'done', 'done'],
);
test(
  'a name cannot be given to what was deleted before it',
  inOneTurn,
  [
    { op: 'delete', image: 'a' },
    { op: 'tag', image: 'a', name: 'docker.io/library/x:1', overwrite: true },
    { op: 'delete', image: 'a' },
  ],
  [[], 'IMAGE_NOT_FOUND', 'IMAGE_NOT_FOUND'],
);
test(
  'a name that was given goes with its image',
  inOneTurn,
  [
    { op: 'tag', image: 'a', name: 'docker.io/library/x:1', overwrite: true },
    { op: 'delete', image: 'a' },
    { op: 'untag', name: 'docker.io/library/x:1' },
  ],
  ['done', [], 'REFERENCE_NOT_FOUND'],
);
test(
  'a deleted child is not a child of the next deletion',
  inOneTurn,
  [
    { op: 'setParent', image: 'b', parent: 'a' },
    { op: 'delete', image: 'b' },
    { op: 'delete', image: 'a' },
    { op: 'create', image: 'b' },
  ],
  ['done', [], [], idNamed('b')],
);
