import test from 'ava';
import fc from 'fast-check';
import type { StoredEvent } from '../../../src/model/events.js';
import { isAbout } from '../../../src/model/subjects.js';
import type { EventFilter } from '../../../src/store/read/log-reads.js';
import type { EventStore } from '../../../src/store/store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';

const WRITERS = 64;
const ROUNDS = 5;
const actors = ['ann', 'ben', 'eve'];
const image = idNamed('0 0');
const reference = 'docker.io/library/x:3';

/** A filter, and what it means. */
interface Question {
  readonly filter: EventFilter | undefined;
  passes(event: StoredEvent): boolean;
}

const questions: readonly Question[] = [
  { filter: undefined, passes: () => true },
  { filter: { actor: 'ann' }, passes: ({ actor }) => actor === 'ann' },
  { filter: { actor: ['ben', 'eve'] }, passes: ({ actor }) => actor === 'ben' || actor === 'eve' },
  { filter: { type: 'ReferenceSet' }, passes: ({ type }) => type === 'ReferenceSet' },
  { filter: { reference: 'x:3' }, passes: (event) => isAbout(event, { reference }) },
  { filter: { image }, passes: (event) => isAbout(event, { image }) },
  {
    filter: { type: ['ImageCreated', 'MetadataSet'], actor: 'ben' },
    passes: ({ type, actor }) => actor === 'ben' && type !== 'ReferenceSet',
  },
  { filter: { reference: 'never:1' }, passes: () => false },
];

async function write(store: EventStore, writer: number): Promise<void> {
  const actor = actors[writer % actors.length];
  for (let round = 0; round < ROUNDS; round++) {
    const id = await store.create(imageConfig(`${writer} ${round}`), { actor });
    await store.tag(`x:${writer % 8}`, id, { actor });
    if (writer % 4 === 0) await store.setMetadata(image, 'k', new Uint8Array(1), { actor });
  }
}

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
    await store.create(imageConfig('0 0'));
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
  await fc.assert(property, { numRuns: 4, endOnFailure: true });
});
