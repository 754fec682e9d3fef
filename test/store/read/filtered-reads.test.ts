import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { ChainId, ImageId } from '../../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../../src/model/events.js';
import { isAbout, type Subject } from '../../../src/model/subjects.js';
import { compileFilter, type EventFilter, type ReadOptions } from '../../../src/store/follow/event-filter.js';
import { idNamed } from '../../support/image-configs.js';
import { entriesOf, eventsFrom } from '../../support/stored-event.js';
import { storeError } from '../../support/store-error.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestLog } from '../../support/test-log.js';
import { liveLog, readerOf } from './live-log.js';

const images = ['a', 'b', 'c', 'd'].map(idNamed);
const chains = ['1', '2', '3'].map((name) => idNamed(name) as string as ChainId);
const references = ['docker.io/library/x:1', 'docker.io/library/y:2', 'docker.io/shop/x:2', 'quay.io/shop/y:1'];
/** Names, patterns of them, and what each is about. */
const wantedNames: Readonly<Record<string, readonly string[]>> = {
  'x:1': ['docker.io/library/x:1'],
  'shop/x:2': ['docker.io/shop/x:2'],
  '*:1': ['docker.io/library/x:1', 'quay.io/shop/y:1'],
  'x*': ['docker.io/library/x:1', 'docker.io/shop/x:2'],
  'shop/*': ['docker.io/shop/x:2'],
  '*/shop/?': ['docker.io/shop/x:2', 'quay.io/shop/y:1'],
  'docker.io/*/*': ['docker.io/library/x:1', 'docker.io/library/y:2', 'docker.io/shop/x:2'],
  'none*': [],
};
const actors = ['ann', 'ben'];
const requests = ['INC-77', 'INC-78', ''];
const ways = ['registry', 'mirror'];
const reasons = ['Roll back', 'a hotfix for INC-77', 'HOTFIX'];
/** Texts, and the reasons that have them. */
const texts: Readonly<Record<string, readonly string[]>> = {
  hotfix: ['a hotfix for INC-77', 'HOTFIX'],
  BACK: ['Roll back'],
  'inc-77': ['a hotfix for INC-77'],
  '': reasons,
  nothing: [],
};

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
    reference: some(Object.keys(wantedNames)),
    chainId: some(chains),
    actor: some(actors),
    requestId: some(requests),
    via: some(ways),
    reasonIncludes: some(Object.keys(texts)),
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
      list(filter.reference).flatMap((each) => (wantedNames[each] ?? []).map((reference) => ({ reference }))),
    ) &&
    anyOf(
      filter.chainId,
      list(filter.chainId).map((each) => ({ chainId: each })),
    ) &&
    anyOf(
      filter.actor,
      list(filter.actor).map((actor) => ({ actor })),
    ) &&
    (filter.requestId === undefined || list(filter.requestId).includes(event.requestId ?? 'none')) &&
    (filter.via === undefined || list(filter.via).includes(event.via ?? 'none')) &&
    (filter.reasonIncludes === undefined ||
      list(filter.reasonIncludes).some((text) => texts[text]?.includes(event.reason ?? 'none') === true)) &&
    event.time >= Number(filter.since ?? 0) &&
    event.time <= Number(filter.until ?? Number.POSITIVE_INFINITY)
  );
}

const envelope = fc.record({
  actor: fc.constantFrom(...actors),
  requestId: fc.constantFrom(undefined, ...requests),
  via: fc.constantFrom(undefined, ...ways),
  reason: fc.constantFrom(undefined, ...reasons),
});

async function seqsOf(events: AsyncIterable<StoredEvent>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of events) seqs.push(seq);
  return seqs;
}

test('reads with and without the index give what a plain scan of every event gives', async (t) => {
  const root = await temporaryDirectory(t);
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.array(anyBody, { minLength: 1, maxLength: 5 }), envelope), { minLength: 1, maxLength: 30 }),
    fc.array(fc.record({ filter: anyFilter, from: fc.nat(40), to: fc.nat(150), reverse: fc.boolean() }), {
      minLength: 10,
      maxLength: 10,
    }),
    async (transactions, questions) => {
      const log = await openTestLog(t, join(root, `${runs++}`));
      const all: StoredEvent[] = [];
      for (const [at, [bodies, given]] of transactions.entries()) {
        const events = eventsFrom(all.length + 1, bodies, at * 4).map((event) => ({ ...event, ...given }));
        await log.append({ expectedHead: all.length, entries: entriesOf(events), content: new Map() });
        all.push(...events);
      }
      const [indexed, scanning] = [readerOf(log), readerOf(log, { hasIndex: false })];
      const knowing = readerOf(log, { known: references.slice(0, 3) });
      for (const { filter, from, to, reverse } of questions) {
        const passing = all.filter((event) => plainlyPasses(event, filter)).map(({ seq }) => seq);
        const expected = passing.filter((seq) => seq >= from && seq <= to);
        if (reverse) expected.reverse();
        const what = JSON.stringify({ filter, from, to, reverse });
        for (const { reader } of [indexed, knowing, scanning]) {
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
      t.is(scanning.reads.subjectPages + scanning.reads.searches, 0);
      await log.close();
    },
  );
  await fc.assert(property, { numRuns: 40 });
});

test('followers that wait, events$ and reads give the same events as a plain scan, with and without the index', async (t) => {
  const root = await temporaryDirectory(t);
  let runs = 0;
  const transaction = fc.tuple(fc.array(anyBody, { minLength: 1, maxLength: 5 }), envelope);
  const property = fc.asyncProperty(
    fc.array(transaction, { minLength: 1, maxLength: 20 }),
    fc.array(fc.record({ filter: anyFilter, from: fc.nat(30) }), { minLength: 8, maxLength: 8 }),
    fc.boolean(),
    async (transactions, questions, hasIndex) => {
      const log = await openTestLog(t, join(root, `${runs++}`));
      const { reader, appendEvents, close } = readerOf(log, { hasIndex, known: references.slice(2) });
      const waiting = questions.map(({ filter, from }) => {
        const follower = reader.follow({ filter, from });
        return { follower, first: follower.next() };
      });
      const subscribed = questions.map(({ filter }) => {
        const seqs: number[] = [];
        const { passes = () => true } = compileFilter(filter);
        reader.events$.subscribe((event) => void (passes(event) && seqs.push(event.seq)));
        return seqs;
      });
      const all: StoredEvent[] = [];
      for (const [at, [bodies, given]] of transactions.entries()) {
        const events = eventsFrom(all.length + 1, bodies, at * 4).map((event) => ({ ...event, ...given }));
        await appendEvents(events);
        all.push(...events);
      }
      const expected = questions.map(({ filter }) => all.filter((event) => plainlyPasses(event, filter)));
      const read = await Promise.all(questions.map(({ filter }) => seqsOf(reader.read({ filter }))));
      const caught = questions.map(({ filter, from }) => reader.follow({ filter, from }));
      for (const [at, { filter, from }] of questions.entries()) {
        const what = JSON.stringify({ filter, from, hasIndex });
        const seqs = (expected[at] ?? []).map(({ seq }) => seq);
        t.deepEqual(read[at], seqs, what);
        t.deepEqual(subscribed[at], seqs, what);
        const late: number[] = [];
        const wanted = seqs.filter((seq) => seq >= from);
        while (late.length < wanted.length) late.push((await caught[at]?.next())?.value?.seq ?? 0);
        t.deepEqual(late, wanted, what);
      }
      for (const [at, { follower, first }] of waiting.entries()) {
        const { from } = questions[at] as (typeof questions)[number];
        const seqs = (expected[at] ?? []).map(({ seq }) => seq).filter((seq) => seq >= from);
        const given: number[] = [];
        let next = first;
        for (; given.length < seqs.length; next = follower.next()) given.push((await next).value?.seq ?? 0);
        t.deepEqual(given, seqs, JSON.stringify({ ...questions[at], hasIndex }));
        await follower.return();
        t.true((await next).done, 'no event is left over');
      }
      await close();
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

test('a follower that waits is given what a read gives, for any filter', async (t) => {
  const property = fc.asyncProperty(
    fc.array(fc.array(anyBody, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 15 }),
    fc.array(anyFilter, { minLength: 5, maxLength: 5 }),
    async (transactions, filters) => {
      const { reader, append, close } = await liveLog(t);
      const passed: number[][] = filters.map(() => []);
      const running = filters.map(async (filter, at) => {
        for await (const { seq } of reader.follow({ filter, from: 1 })) passed[at]?.push(seq);
      });
      const live = filters.map((filter) => {
        const seqs: number[] = [];
        const { passes } = compileFilter(filter);
        reader.events$.subscribe((event) => {
          if (passes?.(event) ?? true) seqs.push(event.seq);
        });
        return seqs;
      });
      for (const bodies of transactions) await append(...bodies);
      const expected = await Promise.all(filters.map((filter) => seqsOf(reader.read({ filter }))));
      for (const [at, seqs] of expected.entries()) {
        while ((passed[at]?.length ?? 0) < seqs.length) await new Promise((resolve) => setImmediate(resolve));
      }
      await close();
      await Promise.all(running);
      t.deepEqual(passed, expected);
      t.deepEqual(live, expected);
    },
  );
  await fc.assert(property, { numRuns: 30 });
});

test('explain tells a search of the index from a scan, and how many events that reads', async (t) => {
  const { reader, append } = await liveLog(t);
  t.deepEqual(reader.explain({ filter: { reference: '*' } }), { by: 'scan', events: 0 });
  for (let at = 0; at < 40; at++) {
    await append({ type: 'ReferenceSet', image: images[0] as ImageId, reference: `docker.io/library/x:${at}` });
  }
  const rows: readonly [ReadOptions, ReturnType<typeof reader.explain>][] = [
    [{}, { by: 'scan', events: 40 }],
    [{ filter: { reference: '*:1?' } }, { by: 'index' }],
    [{ filter: { reference: '*:1?' }, from: 31 }, { by: 'index' }],
    [
      { filter: { reference: '*:1?' }, from: 32 },
      { by: 'scan', events: 9 },
    ],
    [{ filter: { reference: ['x:1', '*:2'], requestId: 'x' } }, { by: 'index' }],
    [{ filter: { reference: Array.from({ length: 65 }, (_, at) => `x:${at}`) } }, { by: 'index' }],
    [{ filter: { image: images[0], reasonIncludes: 'x' } }, { by: 'index' }],
    [
      { filter: { requestId: 'x' }, from: 3, to: 12 },
      { by: 'scan', events: 10 },
    ],
    [{ filter: { reasonIncludes: 'x' } }, { by: 'scan', events: 40 }],
    [{ filter: { type: 'ReferenceSet', until: -1 } }, { by: 'scan', events: 0 }],
  ];
  for (const [options, expected] of rows) t.deepEqual(reader.explain(options), expected, JSON.stringify(options));
  storeError(t, 'FILTER_INVALID', () => reader.explain({ filter: { reference: '*[' } }));
});

test('a search for a pattern reads the events that fit, and none about references that are known', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  for (let at = 0; at < 500; at++) {
    await append(
      { type: 'ReferenceSet', image: images[0] as ImageId, reference: `docker.io/shop/app:${at}` },
      { type: 'ParentSet', image: images[0] as ImageId, parent: images[1] as ImageId },
    );
  }
  t.is((await seqsOf(reader.read({ filter: { reference: 'app:1??' } }))).length, 100);
  t.deepEqual([reads.searches, reads.events, reads.pages], [1, 100, 0]);
  t.deepEqual(await seqsOf(reader.read({ filter: { reference: 'app:4?9' }, limit: 2, reverse: true })), [999, 979]);
  t.deepEqual([reads.searches, reads.events], [2, 110]);
});
