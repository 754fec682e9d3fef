import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { ChainId, ImageId } from '../../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../../src/model/events.js';
import { isAbout, type Subject } from '../../../src/model/subjects.js';
import type { EventFilter } from '../../../src/store/follow/event-filter.js';
import { idNamed } from '../../support/image-configs.js';
import { entriesOf, eventsFrom } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestLog } from '../../support/test-log.js';
import { liveLog, readerOf } from './live-log.js';

const images = ['a', 'b', 'c', 'd'].map(idNamed);
const chains = ['1', '2', '3'].map((name) => idNamed(name) as string as ChainId);
const references = ['docker.io/library/x:1', 'docker.io/library/y:2'];
const actors = ['ann', 'ben'];

const image = fc.constantFrom(...images);
const chain = fc.constantFrom(...chains);
const reference = fc.constantFrom(...references);

const anyBody: fc.Arbitrary<EventBody> = fc.oneof(
  fc.record({ image, chainId: fc.option(chain, { nil: undefined }) }).map((facts): EventBody => {
    return { type: 'ImageCreated', size: 1, os: 'linux', architecture: 'amd64', ...facts };
  }),
  fc.record({ image, parent: image }).map((facts): EventBody => ({ type: 'ParentSet', ...facts })),
  fc
    .record({ image, reference, previous: fc.option(image, { nil: undefined }) })
    .map((facts): EventBody => ({ type: 'ReferenceSet', ...facts })),
  fc.record({ image, reference }).map((facts): EventBody => ({ type: 'ReferenceRemoved', ...facts })),
  fc.record({ chainId: chain, parent: fc.option(chain, { nil: undefined }) }).map((facts): EventBody => {
    const blob = { digest: images[0] as ImageId, size: 1, mediaType: 'x' };
    return { type: 'LayerAdded', diffId: images[0] as never, size: 1, diffSize: 1, blob, ...facts };
  }),
);

const some = <Value>(values: readonly Value[]): fc.Arbitrary<Value | Value[] | undefined> =>
  fc.option(fc.oneof(fc.constantFrom(...values), fc.subarray([...values], { minLength: 1 })), { nil: undefined });

const anyFilter: fc.Arbitrary<EventFilter> = fc
  .record({
    type: some(['ImageCreated', 'ParentSet', 'ReferenceSet', 'ReferenceRemoved', 'LayerAdded'] as const),
    image: some(images),
    reference: some(references),
    chainId: some(chains),
    actor: some(actors),
    since: fc.option(fc.nat(60), { nil: undefined }),
    until: fc.option(fc.integer({ min: 60, max: 120 }), { nil: undefined }),
  })
  .filter(canMatch);

function canMatch({ type, image: ofImage, reference: ofReference, chainId }: EventFilter): boolean {
  const kinds: Readonly<Record<string, string>> = {
    ImageCreated: 'ic',
    ParentSet: 'i',
    ReferenceSet: 'ir',
    ReferenceRemoved: 'ir',
    LayerAdded: 'c',
  };
  const needed = [ofImage && 'i', ofReference && 'r', chainId && 'c'].filter((kind) => kind !== undefined);
  return list(type, Object.keys(kinds)).some((each) => needed.every((kind) => kinds[each]?.includes(kind)));
}

function list<Value>(values: Value | readonly Value[] | undefined, all: readonly Value[] = []): readonly Value[] {
  if (values === undefined) return all;
  return Array.isArray(values) ? values : [values as Value];
}

/** Whether `event` passes, said as plainly as the filter's documentation does. */
function plainlyPasses(event: StoredEvent, filter: EventFilter): boolean {
  const anyOf = (given: unknown, subjects: readonly Subject[]): boolean =>
    given === undefined || subjects.some((subject) => isAbout(event, subject));
  return (
    (filter.type === undefined || list(filter.type).includes(event.type)) &&
    anyOf(
      filter.image,
      list(filter.image).map((each) => ({ image: each })),
    ) &&
    anyOf(
      filter.reference,
      list(filter.reference).map((each) => ({ reference: each })),
    ) &&
    anyOf(
      filter.chainId,
      list(filter.chainId).map((each) => ({ chainId: each })),
    ) &&
    anyOf(
      filter.actor,
      list(filter.actor).map((actor) => ({ actor })),
    ) &&
    event.time >= Number(filter.since ?? 0) &&
    event.time <= Number(filter.until ?? Number.POSITIVE_INFINITY)
  );
}

async function seqsOf(events: AsyncIterable<StoredEvent>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of events) seqs.push(seq);
  return seqs;
}

test('reads with and without the index give what a plain scan of every event gives', async (t) => {
  const root = await temporaryDirectory(t);
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.array(anyBody, { minLength: 1, maxLength: 5 }), fc.constantFrom(...actors)), {
      minLength: 1,
      maxLength: 30,
    }),
    fc.array(fc.record({ filter: anyFilter, from: fc.nat(40), to: fc.nat(150), reverse: fc.boolean() }), {
      minLength: 10,
      maxLength: 10,
    }),
    async (transactions, questions) => {
      const log = await openTestLog(t, join(root, `${runs++}`));
      const all: StoredEvent[] = [];
      for (const [at, [bodies, actor]] of transactions.entries()) {
        const events = eventsFrom(all.length + 1, bodies, at * 4).map((event) => ({ ...event, actor }));
        await log.append({ expectedHead: all.length, entries: entriesOf(events), content: new Map() });
        all.push(...events);
      }
      const [indexed, scanning] = [readerOf(log), readerOf(log, { hasIndex: false })];
      for (const { filter, from, to, reverse } of questions) {
        const passing = all.filter((event) => plainlyPasses(event, filter)).map(({ seq }) => seq);
        const expected = passing.filter((seq) => seq >= from && seq <= to);
        if (reverse) expected.reverse();
        const what = JSON.stringify({ filter, from, to, reverse });
        for (const { reader } of [indexed, scanning]) {
          t.deepEqual(await seqsOf(reader.read({ filter, from, to, reverse })), expected, what);
          t.deepEqual(await seqsOf(reader.read({ filter, from, to, reverse, limit: 2 })), expected.slice(0, 2), what);
          const follower = reader.follow({ filter, from });
          const followed = passing.filter((seq) => seq >= from);
          const given: number[] = [];
          while (given.length < followed.length) given.push((await follower.next()).value?.seq ?? 0);
          await follower.return();
          t.deepEqual(given, followed, what);
        }
      }
      t.is(scanning.reads.subjectPages, 0);
      await log.close();
    },
  );
  await fc.assert(property, { numRuns: 40 });
});

test('a filter that names a few subjects reads the index, and one that names many or none reads the log', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  await append(...images.map((id): EventBody => ({ type: 'ParentSet', image: id, parent: images[0] as ImageId })));
  const many = Array.from({ length: 65 }, (_, at) => idNamed(`${at}`));
  for (const [filter, indexed] of [
    [{ image: images[1] }, true],
    [{ image: images }, true],
    [{ actor: 'tester' }, true],
    [{ reference: 'x:1', since: 1 }, true],
    [{ chainId: chains }, true],
    [{ image: many }, false],
    [{ type: 'ParentSet' }, false],
    [{ since: 0 }, false],
    [undefined, false],
  ] as const) {
    const before = { ...reads };
    await seqsOf(reader.read({ filter }));
    t.deepEqual([reads.subjectPages > before.subjectPages, reads.pages > before.pages], [indexed, !indexed]);
    t.is(reads.open, 0);
  }
});

test('what is out of the times that are asked for is not read', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  for (let at = 0; at < 50; at++)
    await append({ type: 'ParentSet', image: images[0] as ImageId, parent: images[1] as ImageId });
  const events: StoredEvent[] = [];
  for await (const event of reader.read()) events.push(event);
  const since = events[39]?.time as number;
  const until = events[44]?.time as number;
  const expected = events.filter(({ time }) => time >= since && time <= until).map(({ seq }) => seq);
  t.true(expected.length > 0 && expected.length < 20);
  for (const reverse of [false, true]) {
    const before = reads.events;
    const seqs = await seqsOf(reader.read({ filter: { since, until }, reverse }));
    t.deepEqual(seqs, reverse ? expected.toReversed() : expected);
    t.is(reads.events - before, expected.length);
  }
  const before = reads.events;
  const follower = reader.follow({ from: 1, filter: { since } });
  t.is((await follower.next()).value?.seq, expected[0]);
  await follower.return();
  t.is(reads.events - before, events.length - (expected[0] as number) + 1);
  t.deepEqual(await seqsOf(reader.read({ filter: { until: -1 } })), []);
  t.deepEqual(await seqsOf(reader.read({ filter: { since: Number.MAX_SAFE_INTEGER } })), []);
});
