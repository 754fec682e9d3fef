import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { MAX_TABLE_BYTES_AT_OPEN } from '../../../src/limits.js';
import { inspectDatabase } from '../../../src/store/open/inspect-database.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

test('the log of a whole store has no fault and no torn end', async (t) => {
  t.like(await inspectDatabase(join(whole.directory, 'log')), { faults: [], isTorn: false });
});

test('blocks of tables are checked as far as requested: an open asks for MAX_TABLE_BYTES_AT_OPEN', async (t) => {
  const location = join(await copyOf(t, whole), 'log');
  const [name = ''] = await logFiles(whole.directory, /\.ldb$/);
  const bytes = await readFile(join(location, name));
  bytes[0] = (bytes[0] as number) ^ 1;
  await writeFile(join(location, name), bytes);
  t.deepEqual((await inspectDatabase(location, { maxTableBytes: bytes.length - 1 })).faults, []);
  for (const maxTableBytes of [bytes.length, MAX_TABLE_BYTES_AT_OPEN, Number.POSITIVE_INFINITY]) {
    const { faults } = await inspectDatabase(location, { maxTableBytes });
    t.is(faults.length, 1);
    t.like(faults[0], { file: name });
    t.regex(faults[0]?.message ?? '', /is damaged between byte 0 and \d+, and with it/);
  }
});
