import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { REMOVED_PREFIX } from '../../src/log/rows.js';
import { LevelLog, type LevelLogOptions } from '../../src/log/leveldb/level-log.js';
import type { StoredEvent } from '../../src/model/events.js';
import { FailingDatabases, type WriteFate } from '../support/failing-database.js';
import { filesWith } from '../support/files-with.js';
import { rejection } from '../support/rejection.js';
import { keep, remove, type SecretContent, secretContent } from '../support/secret-content.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestLog, tamper } from '../support/test-log.js';

/** A log in its own directory. */
async function newLog(t: ExecutionContext, options: Partial<LevelLogOptions> = {}): Promise<[LevelLog, string]> {
  const location = join(await temporaryDirectory(t), 'log');
  return [await openTestLog(t, location, options), location];
}

/** The keys of all marks in the closed log at `location`. */
async function marksIn(location: string): Promise<Uint8Array[]> {
  let marks: Uint8Array[] = [];
  await tamper(location, async (database) => {
    const range = { gte: Uint8Array.of(REMOVED_PREFIX), lt: Uint8Array.of(REMOVED_PREFIX + 1) };
    marks = await database.keys(range).all();
  });
  return marks;
}

test('content that was only in the write-ahead log leaves the disk', async (t) => {
  const [log, location] = await newLog(t);
  const removed = secretContent();
  const kept = secretContent();
  await keep(log, removed, kept);
  t.is((await filesWith(location, removed.secret)).length, 1);
  await remove(log, removed);
  t.is(log.content(removed.digest), undefined);
  t.not((await filesWith(location, removed.secret)).length, 0);
  await log.purge();
  t.deepEqual(await filesWith(location, removed.secret), []);
  t.deepEqual(log.content(kept.digest), kept.bytes);
  t.not((await filesWith(location, kept.secret)).length, 0);
  await log.close();
  t.deepEqual(await marksIn(location), []);
});

test('an append that waits behind a write of a purge that fails is not begun', async (t) => {
  const databases = new FailingDatabases();
  t.teardown(() => databases.verify());
  let onWrite = (): void => undefined;
  const [log, location] = await newLog(t, {
    openDatabase: async (...where) => {
      const database = await databases.open(...where);
      const begin = database.batch.bind(database) as () => ReturnType<typeof database.batch>;
      const watched = (): ReturnType<typeof database.batch> => {
        const batch = begin();
        const write = batch.write.bind(batch) as (options: { sync: boolean }) => Promise<void>;
        const told = (options: { sync: boolean }): Promise<void> => {
          onWrite();
          return write(options);
        };
        return Object.assign(batch, { write: told });
      };
      return Object.assign(database, { batch: watched });
    },
  });
  const removed = secretContent();
  await keep(log, removed);
  await remove(log, removed);
  const before = databases.batches;
  databases.fates.push('lost');
  let append: Promise<unknown> = Promise.resolve();
  onWrite = (): void => {
    onWrite = () => undefined;
    append = rejection(t, 'OUTCOME_UNKNOWN', keep(log, secretContent()));
  };
  await rejection(t, 'LOG_FAILED', log.purge());
  await append;
  t.is(databases.batches, before + 1);
  await log.recover();
  t.is(log.head.seq, 2);
  await log.purge();
  t.deepEqual(await filesWith(location, removed.secret), []);
});

test('content leaves every table that it was merged into', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const contents = Array.from({ length: 24 }, secretContent);
  // Each close and open makes a table; the first contents are in several of them.
  for (let at = 0; at < contents.length; at += 4) {
    const log = await openTestLog(t, location);
    await keep(log, ...contents.slice(at, at + 4), ...contents.slice(0, 3));
    await log.close();
  }
  const log = await openTestLog(t, location);
  t.true((await filesWith(location, contents[0]?.secret ?? '')).length > 1);
  for (const removed of contents.slice(0, 3)) {
    await remove(log, removed);
    await log.purge();
    t.deepEqual(await filesWith(location, removed.secret), []);
  }
  for (const kept of contents.slice(3)) t.deepEqual(log.content(kept.digest), kept.bytes);
});

test('many removals at once leave the disk together', async (t) => {
  const [log, location] = await newLog(t);
  const contents = Array.from({ length: 40 }, secretContent);
  await keep(log, ...contents);
  const [removed, kept] = [contents.slice(0, 30), contents.slice(30)];
  await remove(log, ...removed);
  await log.purge();
  for (const { secret } of removed) t.deepEqual(await filesWith(location, secret), []);
  for (const { digest, bytes } of kept) t.deepEqual(log.content(digest), bytes);
});

test('after any writes and removals, what is removed is on no disk and what is kept is there', async (t) => {
  const [log, location] = await newLog(t);
  const contents = Array.from({ length: 6 }, secretContent);
  const there = new Set<SecretContent>();
  const steps = fc.array(fc.nat(contents.length - 1), { minLength: 20, maxLength: 40 });
  const property = fc.asyncProperty(steps, async (turns) => {
    for (const turn of turns) {
      const content = contents[turn] as SecretContent;
      if (there.delete(content)) await remove(log, content);
      else {
        await keep(log, content);
        there.add(content);
      }
    }
    await log.purge();
    for (const content of contents) {
      t.deepEqual(log.content(content.digest), there.has(content) ? content.bytes : undefined);
      t.is((await filesWith(location, content.secret)).length > 0, there.has(content));
    }
  });
  await fc.assert(property, { numRuns: 12 });
});

test('a removal that was cut short is finished by the next open for writing', async (t) => {
  const [log, location] = await newLog(t);
  const removed = secretContent();
  await keep(log, removed);
  await remove(log, removed);
  await log.close();
  t.not((await filesWith(location, removed.secret)).length, 0);
  const reading = await LevelLog.open(location, { createIfMissing: false, readOnly: true });
  t.is(reading.content(removed.digest), undefined);
  await reading.close();
  t.is((await marksIn(location)).length, 1);
  const again = await LevelLog.open(location, { createIfMissing: false });
  t.deepEqual(await filesWith(location, removed.secret), []);
  await again.close();
  t.deepEqual(await marksIn(location), []);
});

test('a read of events that began before continues where it was, and holds nothing back', async (t) => {
  const [log, location] = await newLog(t);
  const removed = secretContent();
  await keep(log, removed, ...Array.from({ length: 9 }, secretContent));
  await log.close();
  const again = await openTestLog(t, location);
  const forward = again.pages({ pageSize: 2 });
  const backward = again.pages({ pageSize: 3, reverse: true });
  const about = again.subjectPages([{ actor: 'tester' }], { pageSize: 2 });
  const first = await Promise.all([forward.next(), backward.next(), about.next()]);
  await remove(again, removed);
  await again.purge();
  t.deepEqual(await filesWith(location, removed.secret), []);
  const rest = await Promise.all([forward, backward, about].map(seqsOf));
  const seqs = rest.map((after, at) => [...(first[at]?.value ?? []).map(({ seq }: StoredEvent) => seq), ...after]);
  t.deepEqual(seqs, [
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  ]);
});

test('a read of events that begins while tables are merged holds no old table back', async (t) => {
  const databases = new FailingDatabases();
  const readers: AsyncGenerator<readonly StoredEvent[]>[] = [];
  const [log, location] = await newLog(t, {
    openDatabase: async (...where) => {
      const database = await databases.open(...where);
      const compactRange = database.compactRange?.bind(database);
      database.compactRange = async (start, end) => {
        const reader = log.pages({ pageSize: 1 });
        readers.push(reader);
        await reader.next();
        await compactRange?.(start, end);
      };
      return database;
    },
  });
  const removed = secretContent();
  await keep(log, removed, secretContent());
  await remove(log, removed);
  await log.purge();
  t.deepEqual(await filesWith(location, removed.secret), []);
  t.deepEqual(await Promise.all(readers.map(seqsOf)), Array(3).fill([2, 3]));
});

async function seqsOf(pages: AsyncIterable<readonly StoredEvent[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of pages) seqs.push(...page.map(({ seq }) => seq));
  return seqs;
}

test('a reader of content that began before still has all of it, and is waited for', async (t) => {
  const [log, location] = await newLog(t);
  const removed = secretContent();
  await keep(log, removed);
  const reader = log.openContent();
  await remove(log, removed);
  let isPurged = false;
  const purged = log.purge().then(() => {
    isPurged = true;
  });
  const found: Uint8Array[] = [];
  for await (const page of reader.pages()) found.push(...page.map(({ bytes }) => new Uint8Array(bytes)));
  t.deepEqual(found, [removed.bytes]);
  t.false(isPurged);
  await reader.close();
  await purged;
  t.deepEqual(await filesWith(location, removed.secret), []);
});

test('a log that is closed while a reader of content is waited for is closed, and purged when it is opened again', async (t) => {
  const [log, location] = await newLog(t);
  const removed = secretContent();
  await keep(log, removed);
  log.openContent();
  await remove(log, removed);
  const error = rejection(t, 'STORE_CLOSED', log.purge());
  await log.close();
  await error;
  await rejection(t, 'STORE_CLOSED', log.purge());
  const again = await openTestLog(t, location);
  t.deepEqual(await filesWith(location, removed.secret), []);
  await again.close();
});

test('a purge whose write fails says so, no write follows it, and a recovery lets it be done again', async (t) => {
  const databases = new FailingDatabases();
  const [log, location] = await newLog(t, { openDatabase: databases.open });
  const [removed, later] = [secretContent(), secretContent()];
  await keep(log, removed);
  await remove(log, removed);
  databases.fates.push('lost');
  await rejection(t, 'LOG_FAILED', log.purge());
  await rejection(t, 'LOG_FAILED', keep(log, later));
  await log.recover();
  await keep(log, later);
  await log.purge();
  databases.verify();
  t.deepEqual(await filesWith(location, removed.secret), []);
  t.deepEqual(log.content(later.digest), later.bytes);
});

const unfinished: readonly (readonly [what: string, fates: readonly WriteFate[], freeBytes: number, why: RegExp])[] = [
  ['its first write fails', ['lost'], Number.MAX_SAFE_INTEGER, /the test fails this write: lost$/],
  ['its last write fails', ['written', 'lost'], Number.MAX_SAFE_INTEGER, /the test fails this write: lost$/],
  ['there is no room', [], 0, /removed content leaves the disk when \d+ bytes more are free/],
];

for (const [what, fates, freeBytes, why] of unfinished) {
  test(`a removal that an open cannot finish keeps no log from opening, and a later one finishes it: ${what}`, async (t) => {
    const [log, location] = await newLog(t);
    const [removed, later] = [secretContent(), secretContent()];
    await keep(log, removed);
    await remove(log, removed);
    await log.close();
    const databases = new FailingDatabases();
    databases.fates.push(...fates);
    const notices: string[] = [];
    const again = await openTestLog(t, location, {
      openDatabase: databases.open,
      onNotice: (notice) => void notices.push(notice),
      freeBytes: () => freeBytes,
    });
    t.is(notices.length, 1);
    t.regex(notices[0] ?? '', /^removed content may be on the disk until the log is opened again: /);
    t.regex(notices[0] ?? '', why);
    await keep(again, later);
    t.deepEqual(again.content(later.digest), later.bytes);
    await again.close();
    databases.verify();
    t.is((await marksIn(location)).length, 1);
    const last = await openTestLog(t, location);
    t.deepEqual(await filesWith(location, removed.secret), []);
    t.deepEqual(last.content(later.digest), later.bytes);
    await last.close();
    t.deepEqual(await marksIn(location), []);
  });
}

test('a purge continues in the database that a recovery opened under it', async (t) => {
  const databases = new FailingDatabases();
  const [log, location] = await newLog(t, { openDatabase: databases.open });
  const removed = secretContent();
  await keep(log, removed);
  await remove(log, removed);
  const purged = log.purge();
  databases.fates.push('lost');
  const recovered = rejection(t, 'OUTCOME_UNKNOWN', keep(log, secretContent())).then(() => log.recover());
  await Promise.all([purged, recovered]);
  t.deepEqual(await filesWith(location, removed.secret), []);
});

test('the size of content is that of its row', async (t) => {
  const [log] = await newLog(t);
  const content = secretContent();
  t.is(log.contentSize(content.digest), undefined);
  await keep(log, content);
  t.is(log.contentSize(content.digest), content.bytes.length);
});
