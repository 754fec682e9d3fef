import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { subjectsOf } from '../../src/model/subjects.js';
import { questions } from '../../src/page/questions.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { anyOperation, outcomeOf } from '../support/store-operations.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { readingOf } from './store-source.js';

test('references of the timeline as of any event are those of store.at', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const property = fc.asyncProperty(fc.array(anyOperation, { minLength: 10, maxLength: 40 }), async (operations) => {
    let clock = Date.UTC(2026, 0, 1);
    const store = await openStore(join(root, `${run++}`), { now: () => clock });
    for (const operation of operations) {
      clock += 1_000;
      await outcomeOf(store, operation);
    }
    const { timeline } = await readingOf(store);
    t.is(timeline.last, store.log.head.seq);
    for (let seq = 0; seq <= timeline.last; seq++) {
      const past = await store.at(seq);
      const expected = past
        .referenceEntries()
        .map(({ reference, image, target }) => [reference, image, target?.digest]);
      const found = timeline.names.texts.flatMap((reference, row) => {
        const change = timeline.referenceAt(row, seq);
        return change === undefined || change.isRemoved ? [] : [[reference, change.image, change.target]];
      });
      t.deepEqual(found.sort(), expected.sort());
      t.is(timeline.seqAt(past.time), await lastOf(store.log, past.time));
    }
    await store.close();
  });
  await fc.assert(property, { numRuns: 15 });
});

async function lastOf(log: Awaited<ReturnType<typeof openStore>>['log'], time: number): Promise<number> {
  let last = 0;
  for await (const event of log.read()) if (event.time <= time) last = event.seq;
  return last;
}

test('periods of the timeline are those of referenceHistory', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const property = fc.asyncProperty(fc.array(anyOperation, { minLength: 20, maxLength: 60 }), async (operations) => {
    const store = await openStore(join(root, `${run++}`));
    for (const operation of operations) await outcomeOf(store, operation);
    const { timeline } = await readingOf(store);
    for (const [row, reference] of timeline.names.texts.entries()) {
      const intervals = await store.referenceHistory(reference);
      const periods = timeline.periods(row, timeline.last).filter(({ isRemoved }) => !isRemoved);
      const shape = periods.map(({ seq, time, actor, image, target, untilSeq, until }) => [
        seq,
        time,
        actor,
        image,
        target,
        untilSeq,
        until,
      ]);
      const expected = intervals.map((each) => [
        each.seq,
        each.from,
        each.actor,
        each.image,
        each.target,
        each.untilSeq,
        each.until,
      ]);
      t.deepEqual(shape, expected);
    }
    await store.close();
  });
  await fc.assert(property, { numRuns: 15 });
});

test('events about a digest, an actor and a reference are those that the log finds', async (t) => {
  const store = await temporaryStore(t, { actor: 'ana' });
  await store.load(archivePath('oci-all.tar'));
  const [source = ''] = store.map().keys();
  await store.tag({ source, target: 'shop/app:prod' }, { actor: 'bo', requestId: 'CR-1' });
  const reading = await readingOf(store);
  const { timeline } = reading;
  const seqsOf = async (filter: object): Promise<number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of store.log.read({ filter })) seqs.push(seq);
    return seqs;
  };
  for (const digest of store.map().keys()) {
    const about: number[] = [];
    for await (const event of store.log.read()) {
      if (subjectsOf(event).images.includes(digest)) about.push(event.seq);
    }
    t.true(about.every((seq) => timeline.eventsAbout(digest).includes(seq)));
  }
  t.deepEqual([...timeline.eventsOfActor('bo')], await seqsOf({ actor: 'bo' }));
  const name = 'docker.io/shop/app:prod';
  const row = timeline.names.find(name) ?? -1;
  t.deepEqual(timeline.eventsOfReference(row), await seqsOf({ reference: name }));
  const { transactions } = await questions.events(reading, { seq: timeline.last, text: 'CR-1', limit: 5 });
  t.deepEqual(
    transactions.map(({ seq }) => seq),
    [timeline.last],
  );
});
