import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { eventKey, keyAt, SUBJECT_PREFIX, TREE_PREFIX, treeKey } from '../../src/log/rows.js';
import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import type { Database } from '../../src/log/log.js';
import { openLevel } from '../../src/log/leveldb/open-level.js';
import { rowsOfKind } from '../../src/log/stored-rows.js';
import { subjectPrefix } from '../../src/log/subject-index.js';
import { bytesToHex } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import type { Subject } from '../../src/model/subjects.js';
import { FailingDatabases, type WriteFate } from '../support/failing-database.js';
import { idNamed } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { creationOf } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { appendBodies, appendCreations, openTestLog, tamper } from '../support/test-log.js';

/** Events of the logs here: the index of them is written in two batches. */
const EVENTS = 1_100;
/** Writes that rebuild the rows of such a log: the tree, then the index, whose last row, other rows and two pages are one each. */
const WRITES = 5;
const subject: Subject = { image: idNamed('a') };
/** Every eleventh event is about it. */
const SEQS = Array.from({ length: EVENTS / 11 }, (_, at) => at * 11 + 1);

/** A log of events in a hundred transactions, over a database that fails on demand. */
async function failingLog(
  t: ExecutionContext,
): Promise<{ readonly log: LevelLog; readonly databases: FailingDatabases; readonly location: string }> {
  const databases = new FailingDatabases();
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location, { openDatabase: databases.open });
  const names = ['a', ...Array.from({ length: 10 }, (_, at) => `other ${at}`)];
  for (let at = 0; at < EVENTS / 11; at++) await appendBodies(log, names.map(creationOf));
  t.teardown(() => databases.verify());
  return { log, databases, location };
}

async function seqsOf(log: LevelLog, reverse = false): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of log.subjectPages([subject], { reverse, pageSize: 7 }))
    seqs.push(...page.map(({ seq }) => seq));
  return reverse ? seqs.reverse() : seqs;
}

/** Asserts that a log, opened again, has its index and its tree, and reads what is expected. */
async function holdsAfterOpening(t: ExecutionContext, location: string, expected: readonly number[]): Promise<void> {
  const log = await openTestLog(t, location, { createIfMissing: false });
  t.true(log.hasSubjectIndex);
  t.deepEqual(await seqsOf(log), expected);
  t.deepEqual(await seqsOf(log, true), expected);
  t.deepEqual((await log.readTile({ level: 1, index: 0, width: 4 })).length, 128);
  await log.close();
}

async function derivedRows(location: string): Promise<string[]> {
  const rows: string[] = [];
  await tamper(location, async (database) => {
    for (const prefix of [SUBJECT_PREFIX, TREE_PREFIX]) {
      for (const row of await database.iterator(rowsOfKind(prefix)).all()) rows.push(row.map(bytesToHex).join(' '));
    }
  });
  return rows;
}

test('rows that are wrong, missing or strange are replaced by those that belong there', async (t) => {
  const { log, location } = await failingLog(t);
  await log.renewRows();
  await log.close();
  const expected = await derivedRows(location);
  let database: Database | undefined;
  const again = await openTestLog(t, location, {
    openDatabase: async (...options) => {
      database = await openLevel(...options);
      return database;
    },
  });
  await database?.put(treeKey(1, 2), new Uint8Array(32));
  await database?.put(treeKey(1, 4), new Uint8Array(32));
  await database?.del(treeKey(1, 1));
  await database?.put(keyAt(subjectPrefix({ actor: 'nobody' }), 5), Uint8Array.of(1));
  await database?.del(keyAt(subjectPrefix(subject), SEQS[40] as number));
  const progress: number[] = [];
  await again.renewRows({ onProgress: (done, total) => progress.push(done, total) });
  t.deepEqual(progress, [1_000, EVENTS, EVENTS, EVENTS]);
  t.deepEqual(await seqsOf(again), SEQS);
  await again.close();
  t.deepEqual(await derivedRows(location), expected);
});

test('events that do not give the root of the open log are reported, and nothing is changed', async (t) => {
  const { log, location } = await failingLog(t);
  await log.close();
  // As a log is whose tree was read from a row that is wrong.
  await tamper(location, (database) => database.put(treeKey(1, 2), new Uint8Array(32)));
  const before = await derivedRows(location);
  const again = await openTestLog(t, location, { createIfMissing: false });
  const error = await rejection(t, 'LOG_CORRUPT', again.renewRows());
  t.regex(error.message, /another root/);
  t.true(again.hasSubjectIndex);
  await again.close();
  t.deepEqual(await derivedRows(location), before);
});

test('reads that began before or during a rebuild see every event exactly once', async (t) => {
  const { log, databases } = await failingLog(t);
  const read: number[][] = [[], []];
  const readers = [false, true].map((reverse) =>
    log.subjectPages([subject], { reverse, pageSize: 9 })[Symbol.asyncIterator](),
  );
  const step = async (at: number): Promise<boolean> => {
    const reader = readers[at] as AsyncIterator<readonly StoredEvent[]>;
    const { value, done } = await reader.next();
    if (done !== true) read[at]?.push(...value.map(({ seq }) => seq));
    return done !== true;
  };
  let looks = 0;
  databases.onWritten = async () => {
    looks++;
    for (const at of [0, 1]) await step(at);
    t.deepEqual(await seqsOf(log), SEQS);
    t.deepEqual(await seqsOf(log, true), SEQS);
    t.is((await log.readTile({ level: 1, index: 0, width: 4 })).length, 128);
  };
  for (const at of [0, 1]) await step(at);
  await log.renewRows();
  t.is(looks, WRITES);
  for (const at of [0, 1]) while (await step(at));
  t.deepEqual(read, [SEQS, [...SEQS].reverse()]);
});

test('a read that began before its first access to the index does not use half of it', async (t) => {
  const { log, databases } = await failingLog(t);
  const pending: Promise<number[]>[] = [];
  // In the same turn as the index goes.
  databases.onWritten = async () => void pending.push(seqsOf(log), seqsOf(log, true));
  pending.push(seqsOf(log));
  const renewed = log.renewRows();
  pending.push(seqsOf(log, true));
  await renewed;
  for (const seqs of await Promise.all(pending)) t.deepEqual(seqs, SEQS);
});

const failing = test.macro({
  async exec(t, fate: WriteFate) {
    for (let write = 0; write < WRITES; write++) {
      const { log, databases, location } = await failingLog(t);
      databases.fates.push(...Array.from({ length: write }, (): WriteFate => 'written'), fate);
      const error = await rejection(t, 'LOG_FAILED', log.renewRows());
      t.regex(String(error.cause), new RegExp(fate));
      await rejection(t, 'LOG_FAILED', appendCreations(log, 1), 'the failed database is not written to');
      await rejection(t, 'LOG_FAILED', log.renewRows());
      t.deepEqual(await log.recover(), []);
      await appendBodies(log, [creationOf('a')]);
      const expected = [...SEQS, EVENTS + 1];
      t.deepEqual(await seqsOf(log), expected);
      await log.close();
      await holdsAfterOpening(t, location, expected);
    }
  },
  title: (given) => `a write that ${given} poisons the log, and the next opening makes what is missing`,
});

test('was lost', failing, 'lost');
test('happened and is reported as failed', failing, 'unsure');

test('after it was aborted, reads and appends continue, and it can be done again', async (t) => {
  for (let write = 0; write < WRITES - 1; write++) {
    const { log, databases, location } = await failingLog(t);
    const controller = new AbortController();
    let left = write;
    databases.onWritten = async () => {
      if (left-- === 0) controller.abort();
    };
    await rejection(t, 'ABORTED', log.renewRows({ signal: controller.signal }));
    await appendBodies(log, [creationOf('a')]);
    const expected = [...SEQS, EVENTS + 1];
    t.deepEqual(await seqsOf(log), expected);
    const copy = join(await temporaryDirectory(t), 'log');
    await cp(location, copy, { recursive: true });
    await holdsAfterOpening(t, copy, expected);
    await log.renewRows();
    t.true(log.hasSubjectIndex);
    t.deepEqual(await seqsOf(log), expected);
  }
});

test('a crash after any of its writes leaves a log that the next opening completes', async (t) => {
  const { log, databases, location } = await failingLog(t);
  const place = await temporaryDirectory(t);
  const copies: string[] = [];
  databases.onWritten = async () => {
    const copy = join(place, `${copies.length}`);
    await cp(location, copy, { recursive: true });
    copies.push(copy);
  };
  await log.renewRows();
  t.is(copies.length, WRITES);
  for (const copy of copies) await holdsAfterOpening(t, copy, SEQS);
});

test('an event that is damaged is reported, and nothing is changed', async (t) => {
  const { log, location } = await failingLog(t);
  await log.close();
  const before = await derivedRows(location);
  await tamper(location, async (database) => {
    const row = Uint8Array.from((await database.get(eventKey(700))) as Uint8Array);
    await database.put(eventKey(700), row.with(50, (row[50] as number) ^ 1));
  });
  const again = await openTestLog(t, location, { createIfMissing: false });
  const error = await rejection(t, 'LOG_CORRUPT', again.renewRows());
  t.is(error.data['seq'], 700);
  t.true(again.hasSubjectIndex);
  await again.close();
  t.deepEqual(await derivedRows(location), before);
});
