import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { openLevel } from '../../src/log/leveldb/open-level.js';
import type { Database } from '../../src/log/log.js';
import { subjectPrefix } from '../../src/log/subject-index.js';
import { keyAt } from '../../src/log/rows.js';
import type { EventBody } from '../../src/model/events.js';
import { idNamed } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { appendBodies, openTestLog, tamper } from '../support/test-log.js';

const image = idNamed('a');

function setTo(reference: string): EventBody {
  return { type: 'ReferenceSet', image, reference };
}

/** Counts the rows that are found one by one: those of events. */
async function countingGets(location: string, counts: { gets: number }): Promise<Database> {
  const database = await openLevel(location, true);
  const getMany = database.getMany.bind(database) as (keys: Uint8Array[]) => Promise<Uint8Array[]>;
  const counted = async (keys: Uint8Array[]): Promise<Uint8Array[]> => {
    const rows = await getMany(keys);
    counts.gets += rows.filter((row) => row !== undefined).length;
    return rows;
  };
  return Object.assign(database, { getMany: counted });
}

test('of 20,000 references those of a pattern are found without an event of those that are known', async (t) => {
  const counts = { gets: 0 };
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'), {
    openDatabase: (location) => countingGets(location, counts),
  });
  const names = Array.from(
    { length: 20_000 },
    (_, at) => `docker.io/team-${at % 40}/app-${at}:${at % 4_000 === 7 ? 'prod' : 'v1'}`,
  );
  for (let at = 0; at < names.length; at += 2_000) await appendBodies(log, names.slice(at, at + 2_000).map(setTo));
  await appendBodies(log, [{ type: 'ReferenceRemoved', reference: names[4_007] as string, image }]);
  const matches = (name: string): boolean => name.endsWith(':prod');
  const expected = [8, 4_008, 8_008, 12_008, 16_008, 20_001];
  t.deepEqual(await log.referenceSeqs({ matches, known: names }), expected);
  t.is(counts.gets, 0);
  const allButTen = names.filter((_, at) => at % 2_000 !== 7);
  t.deepEqual(await log.referenceSeqs({ matches, known: allButTen }), expected);
  t.true(counts.gets >= 10 && counts.gets <= 20, 'one row for each name that is not known, and few others');
  t.deepEqual(await log.referenceSeqs({ matches, known: [] }, { from: 4_008, to: 16_007 }), [4_008, 8_008, 12_008]);
  t.true(counts.gets < 20_010 / 10, 'a row of events is read for many names');
  counts.gets = 0;
  const events = await log.eventsOf([20_001, 8]);
  t.deepEqual(
    events.map(({ seq, type }) => [seq, type]),
    [
      [20_001, 'ReferenceRemoved'],
      [8, 'ReferenceSet'],
    ],
  );
  t.is(counts.gets, 2);
});

test('a search finds what a scan of a log finds, with any names known', async (t) => {
  const root = await temporaryDirectory(t);
  const names = ['a', 'b', 'c', 'd'].map((name) => `docker.io/library/${name}:1`);
  let runs = 0;
  const property = fc.asyncProperty(
    fc.array(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
    fc.subarray(names),
    fc.subarray(names),
    fc.nat(12),
    async (batches, wanted, known, from) => {
      const log = await openTestLog(t, join(root, `${runs++}`));
      for (const batch of batches) await appendBodies(log, batch.map(setTo));
      const expected = batches.flat().flatMap((name, at) => (wanted.includes(name) && at + 1 >= from ? [at + 1] : []));
      t.deepEqual(await log.referenceSeqs({ matches: (name) => wanted.includes(name), known }, { from }), expected);
      await log.close();
    },
  );
  await fc.assert(property, { numRuns: 40 });
});

test('a search without an index reads the log, and one in a damaged index is an error', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  await appendBodies(log, ['docker.io/library/a:1', 'docker.io/library/b:1'].map(setTo));
  await appendBodies(log, [setTo('docker.io/library/a:1')]);
  await log.close();
  const wanted = { matches: (name: string) => name.includes('/a'), known: [] };
  await tamper(location, (database) => database.del(keyAt(subjectPrefix({ actor: 'tester' }), 3)));
  const scanning = await openTestLog(t, location, { readOnly: true, createIfMissing: false });
  t.false(scanning.hasSubjectIndex);
  t.deepEqual(await scanning.referenceSeqs(wanted), [1, 3]);
  await scanning.close();
  const whole = await openTestLog(t, location);
  t.deepEqual(await whole.referenceSeqs(wanted), [1, 3]);
  await whole.close();
  const misplaced = keyAt(subjectPrefix({ reference: 'docker.io/library/c:1' }), 2);
  await tamper(location, (database) => database.put(misplaced, new Uint8Array(0)));
  const damaged = await openTestLog(t, location);
  const error = await rejection(t, 'LOG_CORRUPT', damaged.referenceSeqs(wanted));
  t.regex(error.message, /a row of the subject index up to seq 2 is damaged/);
});

test('a search ends when its signal aborts, and a closed log has none', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  await appendBodies(log, [setTo('docker.io/library/a:1')]);
  const wanted = { matches: () => true, known: [] };
  await rejection(t, 'ABORTED', log.referenceSeqs(wanted, { signal: AbortSignal.abort() }));
  await rejection(t, 'ABORTED', log.eventsOf([1], { signal: AbortSignal.abort() }));
  await rejection(t, 'LOG_CORRUPT', log.eventsOf([2]));
  await log.close();
  await rejection(t, 'STORE_CLOSED', log.referenceSeqs(wanted));
  await rejection(t, 'STORE_CLOSED', log.eventsOf([1]));
});
