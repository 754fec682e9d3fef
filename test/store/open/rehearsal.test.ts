import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { withDatabaseCopy } from '../../../src/store/open/rehearsal.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

async function rehearsalsIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.startsWith('log.rehearsal'));
}

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
  t.deepEqual(await rehearsalsIn(directory), []);
});

test('a process that looks at a copy is not disturbed by another that opens the store at the same moment', async (t) => {
  const directory = await copyOf(t, whole);
  const [log = ''] = await logFiles(directory, /\.log$/);
  await truncate(join(directory, 'log', log), (await stat(join(directory, 'log', log))).size + 10);
  await withDatabaseCopy(directory, 'linked', async (location) => {
    const files = await readdir(location);
    const child = fork(fileURLToPath(new URL('../../support/open-elsewhere.js', import.meta.url)), [directory]);
    const [answer] = (await once(child, 'message')) as unknown[];
    t.deepEqual(answer, { opened: true });
    t.deepEqual(await readdir(location), files);
    t.deepEqual(await rehearsalsIn(directory), [basename(location)], 'the other one removed its own');
  });
  t.deepEqual(await rehearsalsIn(directory), []);
});

test('what crashes left of copies goes when the store is opened', async (t) => {
  const directory = await copyOf(t, whole);
  const ended = 2 ** 22 + 1;
  // Of an older version, of a process that is gone, of one whose pid another has now, and of this one.
  for (const end of ['', ...[ended, process.ppid, process.pid].map((pid) => `-${pid}-0123456789abcdef-01234567`)]) {
    await mkdir(join(directory, `log.rehearsal${end}`));
    await writeFile(join(directory, `log.rehearsal${end}`, 'CURRENT'), '');
  }
  await using _ = await openStore(directory);
  t.deepEqual(await rehearsalsIn(directory), []);
});
