import { join } from 'node:path';
import test from 'ava';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import type { LogEntry } from '../../../src/log/log.js';
import { encodeRecord } from '../../../src/log/record.js';
import { digestOf } from '../../../src/model/digest.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendBodies, appendCreations, openTestLog, readPages } from '../../support/test-log.js';
import { referenceRoot } from '../merkle/reference-tree.js';

async function newLocation(t: Parameters<typeof temporaryDirectory>[0]): Promise<string> {
  return join(await temporaryDirectory(t), 'log');
}

test('a new log is empty', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  t.deepEqual(log.head, { seq: 0, time: 0, root: referenceRoot([]) });
  t.deepEqual(await readPages(log), []);
  t.deepEqual(await readPages(log, { reverse: true }), []);
});

test('what was appended is read, in this process and the next', async (t) => {
  const location = await newLocation(t);
  const log = await openTestLog(t, location);
  const first = await appendBodies(log, [creationOf('a'), creationOf('b')]);
  const second = await appendBodies(log, [
    {
      type: 'ParentCleared',
      image: first[0]?.type === 'ImageCreated' ? first[0].image : ('' as never),
      parent: digestOf(new Uint8Array()) as never,
    },
  ]);
  const read = async (from: LevelLog): Promise<unknown[]> => {
    const pages: unknown[] = [];
    for await (const page of from.pages()) pages.push(...page.map((event) => JSON.stringify(event)));
    return pages;
  };
  const seqs = [...first, ...second].map(({ seq }) => seq);
  t.deepEqual((await readPages(log)).flat(), seqs);
  const before = await read(log);
  await log.close();
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(again.head, log.head);
  t.deepEqual([again.head.seq, again.head.time], [3, 1_002]);
  t.deepEqual(await read(again), before);
});

test('pages have the size, range and direction that were asked for', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 10);
  const cases: readonly [Parameters<typeof readPages>[1], number[][]][] = [
    [
      { pageSize: 4 },
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10],
      ],
    ],
    [
      { pageSize: 5 },
      [
        [1, 2, 3, 4, 5],
        [6, 7, 8, 9, 10],
      ],
    ],
    [
      { pageSize: 4, reverse: true },
      [
        [10, 9, 8, 7],
        [6, 5, 4, 3],
        [2, 1],
      ],
    ],
    [{ from: 3, to: 5 }, [[3, 4, 5]]],
    [{ from: 3, to: 5, reverse: true }, [[5, 4, 3]]],
    [{ from: 10 }, [[10]]],
    [{ from: 0, to: 1 }, [[1]]],
    [{ from: 11 }, []],
    [{ from: 6, to: 5 }, []],
    [{ to: 0 }, []],
  ];
  for (const [options, pages] of cases) t.deepEqual(await readPages(log, options), pages, JSON.stringify(options));
});

test('entries are the events with the records that were appended', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 10);
  const pages: LogEntry[][] = [];
  for await (const page of log.entryPages({ from: 2, to: 8, pageSize: 3 })) pages.push([...page]);
  t.deepEqual(
    pages.map((page) => page.map(({ event }) => event.seq)),
    [[2, 3, 4], [5, 6, 7], [8]],
  );
  for (const { event, record } of pages.flat()) t.deepEqual([...record], [...encodeRecord(event)]);
});

test('an append must continue the head', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 2);
  const append = (expectedHead: number, first: number): Promise<void> =>
    log.append({ expectedHead, entries: entriesOf(eventsFrom(first, [creationOf('x')])), content: new Map() });
  await rejection(t, 'INTERNAL', append(1, 2));
  await rejection(t, 'INTERNAL', append(3, 4));
  await rejection(t, 'INTERNAL', append(2, 4));
  await append(2, 3);
  t.is(log.head.seq, 3);
});

test('an append of nothing changes nothing', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await log.append({ expectedHead: 0, entries: [], content: new Map() });
  t.is(log.head.seq, 0);
});

test('content is there with the events of its batch, and is the same when it is written again', async (t) => {
  const location = await newLocation(t);
  const log = await openTestLog(t, location);
  const bytes = imageConfig('a');
  const content = new Map([[digestOf(bytes), bytes]]);
  t.is(log.content(digestOf(bytes)), undefined);
  await log.append({ expectedHead: 0, entries: entriesOf(eventsFrom(1, [creationOf('a')])), content });
  await log.append({ expectedHead: 1, entries: entriesOf(eventsFrom(2, [creationOf('a')])), content });
  const read = log.content(digestOf(bytes)) as Uint8Array;
  t.deepEqual(Buffer.from(read), Buffer.from(bytes));
  read.fill(0);
  t.deepEqual(Buffer.from(log.content(digestOf(bytes)) ?? []), Buffer.from(bytes));
});

test('a reader sees the log as it was when it began, unchanged by later appends', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 6);
  const seqs: number[] = [];
  for await (const page of log.pages({ pageSize: 2 })) {
    seqs.push(...page.map(({ seq }) => seq));
    await appendCreations(log, 1);
  }
  t.deepEqual(seqs, [1, 2, 3, 4, 5, 6]);
  t.is(log.head.seq, 9);
});

test('a reader may stop early', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 6);
  for await (const page of log.pages({ pageSize: 2 })) {
    t.is(page.length, 2);
    break;
  }
  // Closing waits for every iterator: it would not return if one were left.
  await log.close();
});

test('an aborted reader ends with ABORTED and its reason, before the first page and after', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 4);
  const reason = new Error('enough');
  const error = await rejection(t, 'ABORTED', readPages(log, { signal: AbortSignal.abort(reason) }));
  t.is(error.cause, reason);
  const controller = new AbortController();
  const pages = log.pages({ pageSize: 2, signal: controller.signal });
  t.is((await pages.next()).value?.length, 2);
  controller.abort(reason);
  await rejection(t, 'ABORTED', pages.next());
});

test('a second handle on the same log is refused, and the first continues', async (t) => {
  const location = await newLocation(t);
  const log = await openTestLog(t, location);
  const error = await rejection(t, 'STORE_LOCKED', LevelLog.open(location, { createIfMissing: false }));
  t.is(error.data['location'], location);
  await appendCreations(log, 1);
  t.is(log.head.seq, 1);
});

test('a log that is missing is damage, unless it may be made', async (t) => {
  await rejection(t, 'LOG_CORRUPT', LevelLog.open(await newLocation(t), { createIfMissing: false }));
});

test('after close nothing is read and nothing written', async (t) => {
  const log = await openTestLog(t, await newLocation(t));
  await appendCreations(log, 4);
  const paused = log.pages({ pageSize: 1 });
  await paused.next();
  await log.close();
  await rejection(t, 'STORE_CLOSED', readPages(log));
  storeError(t, 'STORE_CLOSED', () => log.content(digestOf(new Uint8Array())));
  await rejection(t, 'STORE_CLOSED', async () => {
    for (;;) if ((await paused.next()).done === true) return;
  });
  await t.throwsAsync(appendCreations(log, 1));
});
