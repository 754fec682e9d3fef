import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { contentKey, eventKey } from '../../../src/log/rows.js';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { digestOf } from '../../../src/model/digest.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendCreations, openTestLog, readPages, tamper } from '../../support/test-log.js';

/** A closed log of ten events. */
async function tenEvents(t: ExecutionContext): Promise<string> {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  await appendCreations(log, 10);
  await log.close();
  return location;
}

/** The seqs that are delivered before the reader fails with LOG_CORRUPT about `seq`. */
async function deliveredBefore(t: ExecutionContext, log: LevelLog, seq: number, reverse = false): Promise<number[]> {
  const delivered: number[] = [];
  const error = await rejection(t, 'LOG_CORRUPT', async () => {
    for await (const page of log.pages({ pageSize: 2, reverse })) delivered.push(...page.map((event) => event.seq));
  });
  t.is(error.data['seq'], seq);
  return delivered;
}

test('no event after a gap is delivered, in either direction', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, (database) => database.del(eventKey(6)));
  const log = await openTestLog(t, location, { readOnly: true });
  t.deepEqual(await deliveredBefore(t, log, 6), [1, 2, 3, 4]);
  t.deepEqual(await deliveredBefore(t, log, 6, true), [10, 9, 8, 7]);
});

test('a log that lost its first events is not a shorter log', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, async (database) => {
    await database.del(eventKey(1));
    await database.del(eventKey(2));
  });
  const log = await openTestLog(t, location, { readOnly: true });
  t.deepEqual(await deliveredBefore(t, log, 1), []);
  t.deepEqual(await deliveredBefore(t, log, 2, true), [10, 9, 8, 7, 6, 5, 4, 3]);
});

test('no event with a flipped bit is delivered', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, async (database) => {
    const row = Uint8Array.from((await database.get(eventKey(5))) as Uint8Array);
    row[60] = (row[60] as number) ^ 4;
    await database.put(eventKey(5), row);
  });
  const log = await openTestLog(t, location, { readOnly: true });
  t.deepEqual(await deliveredBefore(t, log, 5), [1, 2, 3, 4]);
  t.deepEqual(await deliveredBefore(t, log, 5, true), [10, 9, 8, 7]);
});

test('an event that stands in the place of another is found', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, async (database) =>
    database.put(eventKey(4), (await database.get(eventKey(5))) as Uint8Array),
  );
  t.deepEqual(await deliveredBefore(t, await openTestLog(t, location, { readOnly: true }), 4), [1, 2]);
});

test('damage on a page that is read ahead waits until the reader asks for it', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, (database) => database.put(eventKey(3), Uint8Array.of(1)));
  const log = await openTestLog(t, location, { readOnly: true });
  const pages = log.pages({ pageSize: 2 });
  t.is((await pages.next()).value?.length, 2);
  await rejection(t, 'LOG_CORRUPT', pages.next());
});

test('a log whose tree cannot be told is not opened for writing, and has no root for readers', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, (database) => database.del(eventKey(6)));
  const refused = await rejection(t, 'LOG_CORRUPT', openTestLog(t, location));
  t.deepEqual(refused.data, { seq: 6 });
  const log = await openTestLog(t, location, { readOnly: true });
  t.is(log.head.seq, 10);
  t.deepEqual(storeError(t, 'LOG_CORRUPT', () => log.head.root).data, { seq: 6 });
  const append = { expectedHead: 10, entries: entriesOf(eventsFrom(11, [creationOf('x')])), content: new Map() };
  await rejection(t, 'LOG_CORRUPT', log.append(append));
});

test('a damaged last event refuses to open, and leaves the log as it is', async (t) => {
  const location = await tenEvents(t);
  await tamper(location, (database) => database.put(eventKey(10), new Uint8Array(100)));
  for (const _ of [1, 2]) {
    await rejection(t, 'LOG_CORRUPT', LevelLog.open(location, { createIfMissing: false }));
  }
  await tamper(location, async (database) => {
    t.deepEqual(Uint8Array.from((await database.get(eventKey(10))) ?? []), new Uint8Array(100));
  });
});

test('a log that ends inside a transaction refuses to open', async (t) => {
  const location = await tenEvents(t);
  const log = await openTestLog(t, location);
  const bodies = [creationOf('x'), creationOf('y'), creationOf('z')];
  await log.append({ expectedHead: 10, entries: entriesOf(eventsFrom(11, bodies)), content: new Map() });
  await log.close();
  await tamper(location, (database) => database.del(eventKey(13)));
  const error = await rejection(t, 'LOG_CORRUPT', LevelLog.open(location, { createIfMissing: false }));
  t.is(error.message, 'the log ends at seq 12, inside a transaction that ends at 13');
});

test('content with a flipped bit is never given', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  const bytes = imageConfig('a');
  const digest = digestOf(bytes);
  const entries = entriesOf(eventsFrom(1, [creationOf('a')]));
  await log.append({ expectedHead: 0, entries, content: new Map([[digest, bytes]]) });
  await log.close();
  await tamper(location, (database) => database.put(contentKey(digest), bytes.with(3, 0)));
  const again = await openTestLog(t, location);
  t.deepEqual(storeError(t, 'CONTENT_CORRUPT', () => again.content(digest)).data, { digest });
  t.deepEqual(await readPages(again), [[1]]);
});
