import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_TABLE_TRUST_MS } from '../../../src/limits.js';
import { checkDatabase } from '../../../src/store/open/check-database.js';
import { type DatabaseFile, listDatabaseFiles } from '../../../src/store/open/database-files.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { WHOLE_TABLES_FILE, WholeTables } from '../../../src/store/open/whole-tables.js';
import { verifyStore } from '../../../src/store/verify/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

/** Later than every file by more than the clock of any file system is coarse. */
const LATER_MS = 10_000;
const TABLE: DatabaseFile = { isFile: true, size: 9, changedAt: 1_000, version: '7 9 1000' };

/** Returns a copy of the store with a bit flipped in a table of which the store remembers that it was whole, as it is now, `ageMs` ago. */
async function rottenStore(t: ExecutionContext, ageMs: number): Promise<{ directory: string; table: string }> {
  const directory = await copyOf(t, whole);
  const [table = ''] = await logFiles(directory, /\.ldb$/);
  const path = join(directory, 'log', table);
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] as number) ^ 1;
  await writeFile(path, bytes);
  const { version } = (await listDatabaseFiles(join(directory, 'log'))).get(table) as DatabaseFile;
  await remember(directory, { [table]: [version, Date.now() - ageMs] });
  return { directory, table };
}

function remember(directory: string, looks: unknown): Promise<void> {
  return writeFile(join(directory, WHOLE_TABLES_FILE), JSON.stringify(looks));
}

async function remembered(directory: string): Promise<string[]> {
  return Object.keys(JSON.parse(await readFile(join(directory, WHOLE_TABLES_FILE), 'utf8')) as object).sort();
}

test('a table that was found whole lately, and did not change since, is not read again at open; verify reads it', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  // An open would meet the damage when it reads the end of the log.
  t.deepEqual(await checkDatabase(directory, await WholeTables.read(directory, true)), { isTorn: false });
  const violations = await verifyStore(directory);
  t.like(violations[0], { code: 'LOG_FILE_DAMAGED', place: `log/${table}` });
});

test('it is read again after MAX_TABLE_TRUST_MS, and when the clock went back', async (t) => {
  for (const ageMs of [MAX_TABLE_TRUST_MS + 1_000, -60_000]) {
    const { directory, table } = await rottenStore(t, ageMs);
    const error = await rejection(t, 'LOG_CORRUPT', openStore(directory));
    t.regex(error.message, new RegExp(`the table ${table} is damaged`));
  }
});

test('it is read again when it changed in any way since, though size and time of modification are the same', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  const path = join(directory, 'log', table);
  await writeFile(path, await readFile(path));
  await rejection(t, 'LOG_CORRUPT', openStore(directory));
});

test('every table is read again after a crash: nobody closed the store, or nobody can say who had it', async (t) => {
  for (const owner of ['', JSON.stringify({ pid: 2 ** 22 + 1, host: 'here' })]) {
    const { directory } = await rottenStore(t, 1_000);
    await writeFile(join(directory, 'owner.json'), owner);
    await rejection(t, 'LOG_CORRUPT', openStore(directory));
  }
});

test('what a store remembers is what it read and found whole, and no more than what is still there', async (t) => {
  const directory = await copyOf(t, whole);
  const tables = await logFiles(directory, /\.ldb$/);
  await remember(directory, { '999999.ldb': [TABLE.version, Date.now()] });
  const looks = await WholeTables.read(directory, true, Date.now() + LATER_MS);
  await checkDatabase(directory, looks);
  await looks.write();
  t.deepEqual(await remembered(directory), tables);
  const { mtimeMs } = await stat(join(directory, WHOLE_TABLES_FILE));
  const again = await WholeTables.read(directory, true, Date.now() + LATER_MS);
  await checkDatabase(directory, again);
  await again.write();
  t.is((await stat(join(directory, WHOLE_TABLES_FILE))).mtimeMs, mtimeMs, 'nothing new is nothing to write');
});

test('an open for writing remembers, one for reading writes nothing', async (t) => {
  const directory = await copyOf(t, whole);
  await remember(directory, {});
  // Older than the clock of any file system is coarse.
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  const tables = await logFiles(directory, /\.ldb$/);
  await (await openStore(directory, { readOnly: true })).close();
  t.deepEqual(await remembered(directory), []);
  await (await openStore(directory)).close();
  t.deepEqual(await remembered(directory), tables);
});

test('a table that changed within the last two seconds is not remembered: it may change again unseen', async (t) => {
  const directory = await copyOf(t, whole);
  const looks = await WholeTables.read(directory, true, TABLE.changedAt + 1_999);
  looks.add('000001.ldb', TABLE);
  await looks.write();
  await t.throwsAsync(readFile(join(directory, WHOLE_TABLES_FILE)), { code: 'ENOENT' });
});

test('a file that says nothing is as none', async (t) => {
  const directory = await copyOf(t, whole);
  for (const text of ['', '{"000001.ldb":', 'null', '[]', '{"000001.ldb":7}', '{"000001.ldb":["7 9 1000"]}']) {
    await writeFile(join(directory, WHOLE_TABLES_FILE), text);
    t.false((await WholeTables.read(directory, true)).has('000001.ldb', TABLE), text);
  }
});
