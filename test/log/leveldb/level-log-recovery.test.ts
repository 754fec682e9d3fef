import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LevelLog, LevelLogOptions } from '../../../src/log/leveldb/level-log.js';
import { eventKey } from '../../../src/log/rows.js';
import { openDatabaseReadOnly } from '../../../src/store/open/open-database.js';
import { digestOf } from '../../../src/model/digest.js';
import { FailingDatabases, type WriteFate } from '../../support/failing-database.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendCreations, openTestLog, readPages, tamper } from '../../support/test-log.js';

/** A log of two events whose next write has this fate. */
async function failingLog(
  t: ExecutionContext,
  fate: WriteFate,
  options: Partial<LevelLogOptions> = {},
): Promise<{ log: LevelLog; databases: FailingDatabases; location: string }> {
  const databases = new FailingDatabases();
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location, { openDatabase: databases.open, ...options });
  await appendCreations(log, 2);
  databases.fates.push(fate);
  t.teardown(() => databases.verify());
  return { log, databases, location };
}

test('a failed append has an unknown outcome, and until it is settled every append is refused', async (t) => {
  const { log, databases } = await failingLog(t, 'lost');
  const error = await rejection(t, 'OUTCOME_UNKNOWN', appendCreations(log, 1));
  t.deepEqual(error.data, { expectedHead: 2, count: 1 });
  t.is(log.head.seq, 2);
  const refused = await rejection(t, 'LOG_FAILED', appendCreations(log, 1));
  t.is(refused.cause, error.cause);
  t.is(databases.batches, 3);
});

const settles = test.macro({
  async exec(t, fate: WriteFate, survived: readonly number[]) {
    const { log, databases } = await failingLog(t, fate);
    await rejection(t, 'OUTCOME_UNKNOWN', appendCreations(log, 1));
    t.deepEqual(
      (await log.recover()).map(({ seq }) => seq),
      survived,
    );
    t.is(databases.opened, 2);
    await appendCreations(log, 2);
    t.is(log.head.seq, 4 + survived.length);
    t.deepEqual(
      (await readPages(log)).flat(),
      Array.from({ length: log.head.seq }, (_, at) => at + 1),
    );
  },
  title: (given) => `a write that ${given}`,
});

test('was lost is settled as not there, and the log continues', settles, 'lost', []);
test('happened anyway is settled as there, and the log continues after it', settles, 'unsure', [3]);

test('a log that cannot be reopened stays failed and says so to readers', async (t) => {
  const { log, databases } = await failingLog(t, 'unsure');
  databases.failingOpens = 1;
  await rejection(t, 'OUTCOME_UNKNOWN', appendCreations(log, 1));
  await t.throwsAsync(log.recover(), { message: 'the test lets no database open' });
  await rejection(t, 'LOG_FAILED', appendCreations(log, 1));
  await rejection(t, 'LOG_FAILED', readPages(log));
  storeError(t, 'LOG_FAILED', () => log.content(digestOf(new Uint8Array())));
});

test('a log that cannot be reopened for writing is read up to its head, and continues once it can', async (t) => {
  const { log, databases } = await failingLog(t, 'unsure', { openForReading: openDatabaseReadOnly });
  databases.failingOpens = 2;
  await rejection(t, 'OUTCOME_UNKNOWN', appendCreations(log, 1));
  for (let tries = 0; tries < 2; tries++) {
    await t.throwsAsync(log.recover(), { message: 'the test lets no database open' });
    await rejection(t, 'LOG_FAILED', appendCreations(log, 1));
    t.deepEqual((await readPages(log)).flat(), [1, 2]);
    t.is(log.event(2)?.seq, 2);
    t.is(log.event(3), undefined);
  }
  t.deepEqual(
    (await log.recover()).map(({ seq }) => seq),
    [3],
  );
  await appendCreations(log, 1);
  t.deepEqual((await readPages(log)).flat(), [1, 2, 3, 4]);
});

test('a log that lost acknowledged events is not taken up again', async (t) => {
  const { log, databases, location } = await failingLog(t, 'lost');
  await rejection(t, 'OUTCOME_UNKNOWN', appendCreations(log, 1));
  // What LevelDB did to 856 of 999 events when it was written to after a failure.
  await log.close();
  await tamper(location, (database) => database.del(eventKey(2)));
  const again = await openTestLog(t, location, { openDatabase: databases.open });
  t.is(again.head.seq, 1);
  const error = await rejection(t, 'LOG_CORRUPT', async () => {
    await again.close();
    await log.recover();
  });
  t.regex(error.message, /ends at seq 1, 2 was acknowledged/);
  await rejection(t, 'LOG_FAILED', appendCreations(log, 1));
});
