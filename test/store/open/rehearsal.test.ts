import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { withDatabaseCopy } from '../../../src/store/open/rehearsal.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

test('what is written over the tables of a copy leaves the tables of the store as they were', async (t) => {
  const directory = await copyOf(t, whole);
  const [table = ''] = await logFiles(directory, /\.ldb$/);
  const bytes = await readFile(join(directory, 'log', table));
  await withDatabaseCopy(directory, 'copied', async (location) => {
    t.true((await readFile(join(location, table))).equals(bytes));
    // As LevelDB writes a new table that it gives the number of this one.
    await writeFile(join(location, table), 'another table');
  });
  t.true((await readFile(join(directory, 'log', table))).equals(bytes));
  t.false((await readdir(directory)).includes('log.rehearsal'));
});
