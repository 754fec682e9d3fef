import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { mock } from 'node:test';
import test, { type ExecutionContext } from 'ava';
import { MAX_PULL_FILE_BYTES, MAX_PULL_HOURS, PULL_FLUSH_MS } from '../../../src/limits.js';
import { PULLS_FILE } from '../../../src/store/open/vacancy.js';
import { PullCounts } from '../../../src/store/registry/pull-counts.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const HOUR_MS = 60 * 60 * 1_000;
const APP = 'docker.io/shop/app:1';

interface Counting {
  readonly directory: string;
  readonly notices: string[];
  /** Counts of the same file, as another process reads them. */
  readonly again: () => PullCounts;
  readonly pulls: PullCounts;
  /** Sets the clock to an hour since the epoch. */
  readonly hour: (hour: number) => void;
}

async function counting(t: ExecutionContext): Promise<Counting> {
  const directory = await temporaryDirectory(t);
  const notices: string[] = [];
  let time = 0;
  const again = (): PullCounts =>
    new PullCounts({ directory, readOnly: false, now: () => time, onNotice: (notice) => notices.push(notice) });
  const pulls = again();
  t.teardown(() => pulls.flush());
  return { directory, notices, again, pulls, hour: (hour) => (time = hour * HOUR_MS) };
}

test('pulls are counted by hour, and read again', async (t) => {
  const { pulls, again, hour, notices } = await counting(t);
  t.is(pulls.of(APP), undefined);
  for (const each of [1, 1, 5]) {
    hour(each);
    pulls.count(APP);
  }
  await pulls.flush();
  t.deepEqual(again().all(), [{ reference: APP, pulls: 3, lastHour: 5 * HOUR_MS }]);
  t.deepEqual(notices, []);
});

test.serial('counts are written PULL_FLUSH_MS after the first', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { pulls, again } = await counting(t);
  pulls.count(APP);
  mock.timers.tick(PULL_FLUSH_MS - 1);
  t.deepEqual(again().all(), []);
  mock.timers.tick(1);
  // Behind the write that the timer began.
  await pulls.flush();
  t.is(again().of(APP)?.pulls, 1);
});

test('of more than MAX_PULL_HOURS the tenth that is longest ago goes', async (t) => {
  const { pulls, hour } = await counting(t);
  for (let each = 0; each < MAX_PULL_HOURS; each++) {
    hour(each);
    pulls.count(APP);
  }
  t.is(pulls.of(APP)?.pulls, MAX_PULL_HOURS);
  hour(MAX_PULL_HOURS);
  pulls.count(APP);
  const { pulls: left = 0, lastHour } = pulls.of(APP) ?? {};
  t.true(left <= MAX_PULL_HOURS * 0.9 && left >= MAX_PULL_HOURS * 0.9 - 2, String(left));
  t.is(lastHour, MAX_PULL_HOURS * HOUR_MS);
});

test('a file of more than MAX_PULL_FILE_BYTES, or one that is cut off, is lost with a notice', async (t) => {
  const { directory, notices, again, pulls } = await counting(t);
  pulls.count(APP);
  await pulls.flush();
  await truncate(join(directory, PULLS_FILE), MAX_PULL_FILE_BYTES + 1);
  t.deepEqual(again().all(), []);
  t.is(notices.length, 1);
  t.regex(
    notices[0] ?? '',
    new RegExp(`the counted pulls are lost: .*: it has more than ${MAX_PULL_FILE_BYTES} bytes`),
  );
  await truncate(join(directory, PULLS_FILE), 5);
  t.deepEqual(again().all(), []);
  t.is(notices.length, 2);
});
