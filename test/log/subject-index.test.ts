import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { keyAt, SUBJECT_PREFIX } from '../../src/log/rows.js';
import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import type { PageOptions } from '../../src/log/log.js';
import { seqsOfRow, subjectPrefix, subjectRows } from '../../src/log/subject-index.js';
import { bytesToHex, type ChainId, type Digest, type ImageId } from '../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { isAbout, type Subject, subjectsOf } from '../../src/model/subjects.js';
import { bodyArbitraries } from '../support/event-arbitraries.js';
import { FailingDatabases } from '../support/failing-database.js';
import { idNamed } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { appendBodies, openTestLog, tamper } from '../support/test-log.js';

/** A few names, so that random events meet in their subjects. */
const images = ['a', 'b', 'c', 'd'].map(idNamed);
const chains = ['e', 'f'].map((name) => idNamed(name) as Digest as ChainId);
const references = ['docker.io/library/x:1', 'docker.io/library/y:1'];
const actors = ['ann', 'bob'];
const subjects: readonly Subject[] = [
  ...images.map((image) => ({ image })),
  ...chains.map((chainId) => ({ chainId })),
  ...references.map((reference) => ({ reference })),
  ...actors.map((actor) => ({ actor })),
];

const anyBody: fc.Arbitrary<EventBody> = fc
  .tuple(fc.oneof(...Object.values(bodyArbitraries)), fc.nat(), fc.nat(), fc.nat())
  .map(([body, a, b, c]) => familiar(body, a, b, c));

/** The body with subjects of the few names above instead. */
function familiar(body: EventBody, a: number, b: number, c: number): EventBody {
  const image = images[a % images.length] as ImageId;
  const other = images[b % images.length] as ImageId;
  const chainId = chains[b % chains.length] as ChainId;
  const reference = references[c % references.length] as string;
  switch (body.type) {
    case 'ImageCreated':
      return { ...body, image, chainId: body.chainId && chainId };
    case 'ImageDeleted':
      return { ...body, image, parent: body.parent && other, chainId: body.chainId && chainId };
    case 'ParentSet':
      return { ...body, image, parent: other, previous: body.previous && (images[c % images.length] as ImageId) };
    case 'ParentCleared':
      return { ...body, image, parent: other };
    case 'ReferenceSet':
      return { ...body, reference, image, previous: body.previous && other };
    case 'ReferenceRemoved':
      return { ...body, reference, image };
    case 'LayerAdded':
    case 'LayerRemoved':
      return { ...body, chainId, parent: body.parent && (chains[c % chains.length] as ChainId) };
    case 'ContentErased':
      return { ...body, digest: image };
    case 'ArtifactAdded':
    case 'ArtifactRemoved':
      return {
        ...body,
        artifact: { ...body.artifact, digest: image },
        subject: body.subject && { ...body.subject, digest: other },
      };
    default:
      return { ...body, image };
  }
}

async function appendAs(log: LevelLog, actor: string, bodies: readonly EventBody[]): Promise<StoredEvent[]> {
  const expectedHead = log.head.seq;
  const events = eventsFrom(expectedHead + 1, bodies, 1_000 + expectedHead).map((event) => ({ ...event, actor }));
  await log.append({ expectedHead, entries: entriesOf(events), content: new Map() });
  return events;
}

async function seqsAbout(log: LevelLog, about: readonly Subject[], options?: PageOptions): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of log.subjectPages(about, options)) {
    if (options?.pageSize !== undefined && page.length > options.pageSize) throw new Error('a page is too long');
    seqs.push(...page.map(({ seq }) => seq));
  }
  return seqs;
}

test('the index gives what a scan of every event gives, in any range, direction and page size', async (t) => {
  const anyRange = fc.record({
    subjects: fc.uniqueArray(fc.constantFrom(...subjects), { minLength: 1, maxLength: 3 }),
    from: fc.integer({ min: 0, max: 90 }),
    to: fc.integer({ min: 0, max: 90 }),
    reverse: fc.boolean(),
    pageSize: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
  });
  const groups = fc.array(fc.tuple(fc.constantFrom(...actors), fc.array(anyBody, { minLength: 1, maxLength: 12 })), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(groups, fc.array(anyRange, { minLength: 5, maxLength: 5 }), async (transactions, ranges) => {
      const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
      const events: StoredEvent[] = [];
      for (const [actor, bodies] of transactions) events.push(...(await appendAs(log, actor, bodies)));
      for (const { subjects: about, from, to, reverse, pageSize } of ranges) {
        const inRange = events.filter(({ seq }) => seq >= from && seq <= to);
        const expected = inRange.filter((event) => about.some((subject) => isAbout(event, subject)));
        const seqs = expected.map(({ seq }) => seq);
        t.deepEqual(
          await seqsAbout(log, about, { from, to: Math.min(to, log.head.seq), reverse, pageSize }),
          reverse ? seqs.reverse() : seqs,
        );
      }
      await log.close();
    }),
    { numRuns: 40 },
  );
});

async function seqsOfPrefix(log: LevelLog, hex: string, options?: PageOptions): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of log.prefixPages(hex, options)) {
    if (options?.pageSize !== undefined && page.length > options.pageSize) throw new Error('a page is too long');
    seqs.push(...page.map(({ seq }) => seq));
  }
  return seqs;
}

test('the first digits of digests give what a scan gives, of any length, with the index and without', async (t) => {
  const directory = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, directory);
  const bodies = fc.sample(anyBody, { numRuns: 200, seed: 7 });
  const events: StoredEvent[] = [];
  for (let at = 0; at < bodies.length; at += 20)
    events.push(...(await appendAs(log, 'ann', bodies.slice(at, at + 20))));
  const about = (hex: string): number[] =>
    events
      .filter((event) => subjectsOf(event).images.some((image) => image.startsWith(`sha256:${hex}`)))
      .map(({ seq }) => seq);
  const terms = images.flatMap((image) => [1, 2, 15, 16, 17, 64].map((digits) => image.slice(7, 7 + digits)));
  for (const hex of [...terms, '0', 'f', '00', 'ff', 'f'.repeat(64)]) {
    const seqs = about(hex);
    t.deepEqual(await seqsOfPrefix(log, hex), seqs, hex);
    t.deepEqual(await seqsOfPrefix(log, hex, { reverse: true, pageSize: 3 }), [...seqs].reverse(), hex);
    const inRange = seqs.filter((seq) => seq >= 50 && seq <= 150);
    t.deepEqual(await seqsOfPrefix(log, hex, { from: 50, to: 150 }), inRange, hex);
  }
  const [hex = ''] = terms;
  await rejection(t, 'ABORTED', seqsOfPrefix(log, hex, { signal: AbortSignal.abort() }));
  // The row of the last event marks a complete index.
  await log.close();
  await tamper(directory, (database) => database.del(keyAt(subjectPrefix({ actor: 'ann' }), events.length)));
  const reader = await openTestLog(t, directory, { readOnly: true });
  t.false(reader.hasSubjectIndex);
  t.deepEqual(await seqsOfPrefix(reader, hex), about(hex));
});

test('the rows of one batch give every event to each of its subjects', (t) => {
  fc.assert(
    fc.property(
      fc.array(anyBody, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 2 ** 50 }),
      (bodies, first) => {
        const events = eventsFrom(first, bodies);
        const found = new Map<string, number[]>();
        for (const [key, value] of subjectRows(events)) {
          const prefix = bytesToHex(key.subarray(0, 10));
          found.set(prefix, [...(found.get(prefix) ?? []), ...seqsOfRow(key, value)]);
        }
        for (const subject of [...subjects, { actor: 'tester' }]) {
          const seqs = events.filter((event) => isAbout(event, subject)).map(({ seq }) => seq);
          t.deepEqual(found.get(bytesToHex(subjectPrefix(subject))) ?? [], seqs);
        }
      },
    ),
  );
});

test('an actor who does ten thousand things at once costs a few rows', (t) => {
  const events = eventsFrom(
    1,
    Array.from({ length: 10_000 }, () => creationOf('same')),
  );
  const rows = subjectRows(events);
  t.is(rows.length, 2 * Math.ceil(10_000 / 256));
  t.is(
    rows.reduce((sum, [, value]) => sum + value.length, 0),
    2 * (10_000 - 40),
  );
});

test('two images whose ids begin alike are kept apart', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const twins = ['1', '2'].map((end) => `sha256:${'ab'.repeat(31)}a${end}` as Digest as ImageId);
  for (const image of twins) await appendBodies(log, [{ ...creationOf('a'), image } as EventBody]);
  t.deepEqual(await seqsAbout(log, [{ image: twins[0] as ImageId }]), [1]);
  t.deepEqual(await seqsAbout(log, [{ image: twins[1] as ImageId }], { reverse: true }), [2]);
});

test('two images whose ids begin alike are kept apart in one batch too', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const [one, other] = ['1', '2'].map((end) => `sha256:${'ab'.repeat(31)}a${end}` as Digest as ImageId) as [
    ImageId,
    ImageId,
  ];
  await appendBodies(log, [
    { ...creationOf('a'), image: one } as EventBody,
    { ...creationOf('b'), image: other } as EventBody,
    creationOf('c'),
    { type: 'ParentSet', image: one, parent: other, previous: undefined },
  ]);
  for (const reverse of [false, true]) {
    t.deepEqual((await seqsAbout(log, [{ image: one }], { reverse })).sort(), [1, 4]);
    t.deepEqual((await seqsAbout(log, [{ image: other }], { reverse })).sort(), [2, 4]);
  }
});

test('a log without its index gets it when it is opened for writing', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  for (let at = 0; at < 5; at++) await appendBodies(log, [creationOf('a'), creationOf(`${at}`)]);
  const image = idNamed('a');
  const expected = await seqsAbout(log, [{ image }]);
  t.is(expected.length, 5);
  await log.close();
  await tamper(location, (database) =>
    database.clear({ gte: Uint8Array.of(SUBJECT_PREFIX), lt: Uint8Array.of(SUBJECT_PREFIX + 1) }),
  );

  const reading = await openTestLog(t, location, { createIfMissing: false, readOnly: true });
  t.false(reading.hasSubjectIndex);
  t.deepEqual(await seqsAbout(reading, [{ image }]), expected, 'the whole log is read instead');
  for await (const page of reading.subjectPages([{ image: idNamed('a') }], { pageSize: 1 })) t.is(page.length, 1);
  await reading.close();

  const writing = await openTestLog(t, location, { createIfMissing: false });
  t.true(writing.hasSubjectIndex);
  t.deepEqual(await seqsAbout(writing, [{ image }]), expected);
  await appendBodies(writing, [creationOf('a')]);
  t.deepEqual(await seqsAbout(writing, [{ image }], { reverse: true }), [11, ...expected.reverse()]);
});

test('rows that an indexing which was cut short left do not give an event twice', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  const events = await appendBodies(log, [creationOf('a'), creationOf('b'), creationOf('a')]);
  await log.close();
  await tamper(location, async (database) => {
    for (const [key, value] of subjectRows(events.slice(0, 2))) await database.put(key, value);
  });
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(await seqsAbout(again, [{ image: idNamed('a') }]), [1, 3]);
  t.deepEqual(await seqsAbout(again, [{ actor: 'tester' }]), [1, 2, 3]);
  t.deepEqual(await seqsAbout(again, [{ actor: 'tester' }], { reverse: true }), [3, 2, 1]);
});

test('what is left of an index whose end is missing hides nothing of the one that is made again', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  for (let at = 0; at < 3; at++) await appendBodies(log, [creationOf('a')]);
  await log.close();
  const row = (seq: number): Uint8Array => keyAt(subjectPrefix({ actor: 'tester' }), seq);
  await tamper(location, async (database) => {
    for (const seq of [1, 3]) await database.del(row(seq));
  });
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(await seqsAbout(again, [{ actor: 'tester' }]), [1, 2, 3]);
});

test('a row of the index that is damaged is reported, and not skipped', async (t) => {
  for (const value of [Uint8Array.of(0x80), Uint8Array.of(0), Uint8Array.of(5), new Uint8Array(20).fill(0xff)]) {
    const location = join(await temporaryDirectory(t), 'log');
    const log = await openTestLog(t, location);
    await appendBodies(log, [creationOf('a'), creationOf('a')]);
    await log.close();
    const [key] = subjectRows(eventsFrom(2, [creationOf('a')]))[0] as readonly [Uint8Array, Uint8Array];
    await tamper(location, (database) => database.put(key, value));
    const again = await openTestLog(t, location, { createIfMissing: false });
    await rejection(t, 'LOG_CORRUPT', seqsAbout(again, [{ image: idNamed('a') }]));
    await again.close();
  }
});

test('a row that names an event which is not there is reported', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  await appendBodies(log, [creationOf('a')]);
  await log.close();
  const [row] = subjectRows(eventsFrom(9, [creationOf('a')]));
  await tamper(location, (database) => database.put(...(row as [Uint8Array, Uint8Array])));
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(await seqsAbout(again, [{ image: idNamed('a') }]), [1], 'the log ends before it');
  await rejection(t, 'LOG_CORRUPT', seqsAbout(again, [{ image: idNamed('a') }], { to: 20 }));
});

test('an event is read by its seq', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const [, second] = await appendBodies(log, [creationOf('a'), creationOf('b')]);
  t.like(log.event(2), { seq: 2, image: second?.type === 'ImageCreated' ? second.image : '' });
  t.is(log.event(0), undefined);
  t.is(log.event(3), undefined);
  await log.close();
  storeError(t, 'STORE_CLOSED', () => log.event(1));
});

test('every event has subjects, and is about each of them and no other', (t) => {
  fc.assert(
    fc.property(anyBody, (body) => {
      const [event] = eventsFrom(1, [body]) as [StoredEvent];
      const { images: ids, references: names, chains: chainIds, actor } = subjectsOf(event);
      t.is(new Set(ids).size, ids.length);
      t.is(new Set(chainIds).size, chainIds.length);
      t.is(actor, 'tester');
      for (const image of images) t.is(isAbout(event, { image }), ids.includes(image));
      for (const chainId of chains) t.is(isAbout(event, { chainId }), chainIds.includes(chainId));
      for (const reference of references) t.is(isAbout(event, { reference }), names.includes(reference));
      t.true(isAbout(event, { actor: 'tester' }));
      t.false(isAbout(event, { actor: 'ann' }));
    }),
  );
});

test('an index that cannot be written fails the open by name, and the next open writes it', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  await appendBodies(log, [creationOf('a')]);
  await log.close();
  await tamper(location, (database) =>
    database.clear({ gte: Uint8Array.of(SUBJECT_PREFIX), lt: Uint8Array.of(SUBJECT_PREFIX + 1) }),
  );
  const databases = new FailingDatabases();
  databases.fates.push('lost');
  await rejection(t, 'LOG_FAILED', openTestLog(t, location, { createIfMissing: false, openDatabase: databases.open }));
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(await seqsAbout(again, [{ image: idNamed('a') }]), [1]);
});
