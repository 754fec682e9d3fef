import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';
import type { StoredEvent } from '../../src/model/events.js';
import { FailingDatabases } from '../support/failing-database.js';
import { filesWith } from '../support/files-with.js';
import { keep, remove, secretContent } from '../support/secret-content.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestLog } from '../support/test-log.js';

/** Turns of the event loop that take longer than a purge of a small log. */
const MANY_TURNS = 100_000;

test('after a crash at any step of a purge, the next open for writing finishes it', async (t) => {
  const databases = new FailingDatabases();
  let isPurging = false;
  const place = await temporaryDirectory(t);
  const copies: string[] = [];
  const location = join(place, 'log');
  const copy = async (): Promise<void> => {
    if (!isPurging) return;
    const to = join(place, `crash ${copies.length}`);
    copies.push(to);
    // In this process, checking its lock would release it.
    await cp(location, to, { recursive: true, filter: (path) => basename(path) !== 'LOCK' });
  };
  databases.onWritten = copy;
  const log = await openTestLog(t, location, {
    openDatabase: async (...where) => {
      const database = await databases.open(...where);
      const compactRange = database.compactRange?.bind(database);
      database.compactRange = async (start, end) => {
        await copy();
        await compactRange?.(start, end);
        await copy();
      };
      return database;
    },
  });
  const [removed, kept] = [secretContent(), secretContent()];
  await keep(log, removed, kept);
  isPurging = true;
  await remove(log, removed);
  await log.purge();
  t.is(copies.length, 9);
  t.true((await filesWith(copies[0] as string, removed.secret)).length > 0);
  for (const crashed of copies) {
    const again = await openTestLog(t, crashed);
    t.deepEqual(await filesWith(crashed, removed.secret), [], crashed);
    t.deepEqual(again.content(kept.digest), kept.bytes);
  }
});

test('short reads of positions, tiles and histories that continue while tables are merged hold no old table back', async (t) => {
  const databases = new FailingDatabases();
  const reads: Promise<unknown>[] = [];
  let isPurging = false;
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location, {
    openDatabase: async (...where) => {
      const database = await databases.open(...where);
      const compactRange = database.compactRange?.bind(database);
      // Iterators that were made and are asked for their rows late, as when all threads of the system are busy.
      const slowly = <Rows extends { all(): Promise<unknown> }>(rows: Rows): Rows => {
        const all = rows.all.bind(rows);
        const late = async (): Promise<unknown> => {
          for (let turn = 0; turn < MANY_TURNS && isPurging; turn++) await new Promise(setImmediate);
          return all();
        };
        return Object.assign(rows, { all: late });
      };
      const { iterator, keys } = database;
      database.compactRange = async (start, end) => {
        const history = log.subjectPages([{ actor: 'tester' }], { to: 2, reverse: true });
        reads.push(log.positions(), log.readTile({ level: 0, index: 0, width: 2 }), seqsOf(history));
        await compactRange?.(start, end);
      };
      return Object.assign(database, {
        iterator: (range: object) => slowly(iterator.call(database, range)),
        keys: (range: object) => slowly(keys.call(database, range)),
      });
    },
  });
  const removed = secretContent();
  await keep(log, removed, secretContent());
  await remove(log, removed);
  isPurging = true;
  await log.purge();
  isPurging = false;
  t.deepEqual(await filesWith(location, removed.secret), []);
  t.is((await Promise.all(reads)).length, 9);
});

async function seqsOf(pages: AsyncIterable<readonly StoredEvent[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of pages) seqs.push(...page.map(({ seq }) => seq));
  return seqs;
}
