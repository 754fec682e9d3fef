import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { createViews } from '../../projections/views.js';
import { MAX_INDEXED_DIFF_EVENTS, MAX_INDEXED_DIFF_SUBJECTS } from '../../src/limits.js';
import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { diffViews, type StoreChanges } from '../../src/store/past/diff.js';
import { viewsBefore } from '../../src/store/past/views-before.js';
import { eventStreams } from '../support/event-streams.js';
import { idNamed } from '../support/image-configs.js';
import { creationOf, entriesOf } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { appendBodies, openTestLog } from '../support/test-log.js';

async function eventsIn(log: LevelLog, from: number, to: number): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const page of log.pages({ from, to })) events.push(...page);
  return events;
}

/** The difference by a fold of every event. */
async function foldedDiff(log: LevelLog, seq: number, events: readonly StoredEvent[]): Promise<StoreChanges> {
  const viewSet = createViews();
  viewSet.fold(await eventsIn(log, 1, seq));
  return diffViews(viewSet.views, [events]);
}

test('a difference from the index is that from a fold of every event, between any two', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const pairs = fc.array(fc.tuple(fc.nat(80), fc.nat(80)), { minLength: 5, maxLength: 5 });
  const property = fc.asyncProperty(eventStreams, pairs, async (events, moments) => {
    const log = await openTestLog(t, join(root, `${run++}`));
    await log.append({ expectedHead: 0, entries: entriesOf(events), content: new Map() });
    for (const [one, other] of moments) {
      const from = Math.min(one, other, log.head.seq);
      const between = await eventsIn(log, from + 1, Math.min(Math.max(one, other), log.head.seq));
      const before = await viewsBefore(log, between, { seq: from });
      if (before === undefined) return t.fail('the index was not used');
      t.deepEqual(await diffViews(before, [between]), await foldedDiff(log, from, between));
    }
    await log.close();
  });
  await fc.assert(property, { numRuns: 60 });
});

test('an image has no parent once that was deleted, without an event about the image', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const [image, parent] = [idNamed('child'), idNamed('parent')];
  await appendBodies(log, [
    creationOf('parent'),
    creationOf('child'),
    { type: 'ParentSet', image, parent, previous: undefined },
    { type: 'ImageDeleted', image: parent, parent: undefined, chainId: undefined },
    creationOf('parent'),
  ]);
  const events = await appendBodies(log, [{ type: 'ParentSet', image, parent, previous: undefined }]);
  const before = await viewsBefore(log, events, { seq: 5 });
  t.deepEqual(before && (await diffViews(before, [events])).parents, [
    { image, change: 'added', before: undefined, after: parent, event: events[0] },
  ]);
});

test('what is about too much is left to a snapshot', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const names = Array.from({ length: MAX_INDEXED_DIFF_SUBJECTS + 1 }, (_, at) => creationOf(`${at}`));
  const many = await appendBodies(log, names);
  t.is(await viewsBefore(log, many, { seq: 0 }), undefined);
  t.not(await viewsBefore(log, many.slice(1), { seq: 0 }), undefined);
  const metadata = (at: number): EventBody => ({
    type: 'MetadataSet',
    image: idNamed('0'),
    key: 'k',
    value: Uint8Array.of(at % 256),
  });
  await appendBodies(
    log,
    Array.from({ length: MAX_INDEXED_DIFF_EVENTS }, (_, at) => metadata(at)),
  );
  const [last] = await appendBodies(log, [metadata(0)]);
  t.is(await viewsBefore(log, [last as StoredEvent], { seq: log.head.seq - 1 }), undefined);
  t.not(await viewsBefore(log, [last as StoredEvent], { seq: MAX_INDEXED_DIFF_EVENTS }), undefined);
});
