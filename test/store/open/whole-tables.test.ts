import { lstat, readdir, readFile, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_TABLE_TRUST_MS } from '../../../src/limits.js';
import { type DatabaseFile, databaseFiles } from '../../../src/store/open/database-files.js';
import { checkDatabase, inspectTables, newestTables } from '../../../src/store/open/inspect-database.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { bootIdentity } from '../../../src/store/open/lock.js';
import { WHOLE_TABLES_FILE, WholeTables } from '../../../src/store/open/whole-tables.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

/** More than the clock of any file system is coarse. */
const AHEAD_MS = 10_000;
const TABLE: DatabaseFile = { isFile: true, isShared: false, size: 9, changedAt: 1_000, version: '7 9 1000' };

let whole: WholeStore;
const realNow = Date.now;
test.before(async () => {
  // Of the tests of this file: to them, what they make is some seconds old.
  Date.now = () => realNow() + AHEAD_MS;
  whole = await makeWholeStore();
});
test.after.always(() => {
  Date.now = realNow;
  return removeWholeStore(whole);
});

/** Returns a copy of the store with a bit flipped in a table of which the store remembers that it was whole, as it is now, `ageMs` ago. */
async function rottenStore(t: ExecutionContext, ageMs: number): Promise<{ directory: string; table: string }> {
  const directory = await copyOf(t, whole);
  const [table = ''] = await logFiles(directory, /\.ldb$/);
  const path = join(directory, 'log', table);
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] as number) ^ 1;
  await writeFile(path, bytes);
  const { version } = databaseFiles(join(directory, 'log'), [table]).get(table) as DatabaseFile;
  await remember(directory, { [table]: [version, Date.now() - ageMs] });
  return { directory, table };
}

async function remember(directory: string, tables: unknown, boot?: string): Promise<void> {
  const text = JSON.stringify({ boot: boot ?? (await bootIdentity()) ?? null, tables });
  await writeFile(join(directory, WHOLE_TABLES_FILE), text);
}

/** Holds that an open reads a damaged table: without that it is refused, too, but for what it cannot read of the log. */
async function isRead(t: ExecutionContext, directory: string, table: string): Promise<void> {
  const error = await rejection(t, 'LOG_CORRUPT', openStore(directory));
  t.regex(error.message, new RegExp(`the table ${table} is damaged between`));
}

async function look(directory: string, wholeTables: WholeTables): Promise<{ readonly isTorn: boolean }> {
  const { isTorn } = await checkDatabase(join(directory, 'log'), newestTables(wholeTables));
  return { isTorn };
}

async function remembered(directory: string): Promise<string[]> {
  const { tables } = JSON.parse(await readFile(join(directory, WHOLE_TABLES_FILE), 'utf8')) as { tables: object };
  return Object.keys(tables).sort();
}

test('a table that was found whole lately, and did not change since, is not read again at open; verify reads it', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  // An open would meet the damage when it reads the end of the log.
  t.deepEqual(await look(directory, await WholeTables.read(directory, true)), { isTorn: false });
  const violations = await verifyStore(directory);
  t.like(violations[0], { code: 'LOG_FILE_DAMAGED', place: `log/${table}` });
});

test('it is read again after MAX_TABLE_TRUST_MS, and when the clock went back', async (t) => {
  for (const ageMs of [MAX_TABLE_TRUST_MS + 1_000, -60_000]) {
    const { directory, table } = await rottenStore(t, ageMs);
    await isRead(t, directory, table);
  }
});

test('it is read again when it changed in any way since, though size and time of modification are the same', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  const path = join(directory, 'log', table);
  const { atime, mtime } = await stat(path);
  await writeFile(path, await readFile(path));
  await utimes(path, atime, mtime);
  await isRead(t, directory, table);
});

test('every table is read again after a crash: nobody closed the store, or nobody can say who had it', async (t) => {
  for (const owner of ['', JSON.stringify({ pid: 2 ** 22 + 1, host: 'here' })]) {
    const { directory, table } = await rottenStore(t, 1_000);
    await writeFile(join(directory, 'owner.json'), owner);
    await isRead(t, directory, table);
  }
});

test('every table is read again after the machine was started', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  const { version } = databaseFiles(join(directory, 'log'), [table]).get(table) as DatabaseFile;
  await remember(directory, { [table]: [version, Date.now() - 1_000] }, 'another');
  await isRead(t, directory, table);
});

test('what is not read again still counts: no older table is read in its place', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  const location = join(directory, 'log');
  const file = databaseFiles(location, [table]).get(table) as DatabaseFile;
  const wholeTables = await WholeTables.read(directory, true);
  const ROWS = { level: 0, smallest: new Uint8Array(), largest: new Uint8Array(), events: undefined };
  const tables = new Map([
    [Number.parseInt(table, 10) - 1, { ...ROWS, size: 7 }],
    [Number.parseInt(table, 10), { ...ROWS, size: file.size }],
  ]);
  const older = `${String(Number.parseInt(table, 10) - 1).padStart(6, '0')}.ldb`;
  // It is not there: reading it would be an error.
  const files = new Map([
    [table, file],
    [older, { ...TABLE, size: 7 }],
  ] as const);
  const inspect = (maxTableBytes: number) => inspectTables(location, files, tables, { maxTableBytes, wholeTables });
  t.deepEqual(await inspect(file.size), []);
  const error = await rejection(t, 'IO_FAILED', inspect(file.size + 7));
  t.regex(error.message, new RegExp(`${older}: it was removed meanwhile`));
});

test('what a store remembers is what it read and found whole, and no more than what is still there', async (t) => {
  const directory = await copyOf(t, whole);
  const tables = await logFiles(directory, /\.ldb$/);
  await remember(directory, { '999999.ldb': [TABLE.version, Date.now()] });
  const first = await WholeTables.read(directory, true);
  await look(directory, first);
  await first.write();
  t.deepEqual(await remembered(directory), tables);
  const path = join(directory, WHOLE_TABLES_FILE);
  const marked = `${await readFile(path, 'utf8')}   \n`;
  await writeFile(path, marked);
  const again = await WholeTables.read(directory, true);
  await look(directory, again);
  await again.write();
  t.is(await readFile(path, 'utf8'), marked, 'nothing new is nothing to write');
});

test('the tables of a store that a crash left with an unfinished write are remembered, too', async (t) => {
  const directory = await copyOf(t, whole);
  const [log = ''] = await logFiles(directory, /\.log$/);
  const path = join(directory, 'log', log);
  await writeFile(path, (await readFile(path)).subarray(0, -1));
  const wholeTables = await WholeTables.read(directory, false);
  t.deepEqual(await look(directory, wholeTables), { isTorn: true });
  await wholeTables.write();
  t.deepEqual(await remembered(directory), await logFiles(directory, /\.ldb$/));
});

test('an open that is refused remembers nothing, whether for its files or for its checkpoint', async (t) => {
  const spoil = {
    table: async (directory: string) => {
      const [table = ''] = await logFiles(directory, /\.ldb$/);
      await truncate(join(directory, 'log', table), 100);
    },
    checkpoint: (directory: string) => writeFile(join(directory, 'checkpoint'), 'none'),
  };
  for (const [what, make] of Object.entries(spoil)) {
    const directory = await copyOf(t, whole);
    await make(directory);
    const before = (await readdir(directory)).sort();
    t.false(before.includes(WHOLE_TABLES_FILE));
    await t.throwsAsync(openStore(directory), undefined, what);
    t.deepEqual((await readdir(directory)).sort(), before);
  }
});

test('an open for writing remembers, one for reading writes nothing', async (t) => {
  const directory = await copyOf(t, whole);
  await remember(directory, {});
  await (await openStore(directory, { readOnly: true })).close();
  t.deepEqual(await remembered(directory), []);
  const tables = await logFiles(directory, /\.ldb$/);
  await (await openStore(directory)).close();
  t.deepEqual(await remembered(directory), tables);
});

test('what is remembered is put in the place of the file, never into it: a link leads to what is somebody else’s', async (t) => {
  const directory = await copyOf(t, whole);
  const [other, path] = [join(directory, 'other'), join(directory, WHOLE_TABLES_FILE)];
  await writeFile(other, 'precious');
  await symlink(other, path);
  await (await openStore(directory)).close();
  t.is(await readFile(other, 'utf8'), 'precious');
  t.true((await lstat(path)).isFile());
  t.deepEqual(await remembered(directory), await logFiles(directory, /\.ldb$/).then((names) => names.slice(0, 1)));
});

test('a rebuild, also one that is refused, has every table read again', async (t) => {
  const { directory, table } = await rottenStore(t, 1_000);
  await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  await isRead(t, directory, table);
});

test('a file that is larger than any is not read', async (t) => {
  const directory = await copyOf(t, whole);
  const boot = (await bootIdentity()) ?? null;
  const text = JSON.stringify({ boot, tables: { '000001.ldb': [TABLE.version, 2_000] } });
  await writeFile(join(directory, WHOLE_TABLES_FILE), text.padEnd(1024 * 1024 + 1));
  t.false((await WholeTables.read(directory, true, 3_000)).has('000001.ldb', TABLE));
});

test('a table that changed within the last two seconds is not remembered: it may change again unseen', async (t) => {
  const directory = await copyOf(t, whole);
  const wholeTables = await WholeTables.read(directory, true, TABLE.changedAt + 1_999);
  wholeTables.add('000001.ldb', TABLE);
  await wholeTables.write();
  await t.throwsAsync(readFile(join(directory, WHOLE_TABLES_FILE)), { code: 'ENOENT' });
});

test('a file that says nothing is as none', async (t) => {
  const directory = await copyOf(t, whole);
  const boot = JSON.stringify((await bootIdentity()) ?? null);
  const name = '000001.ldb';
  const text = `{"boot":${boot},"tables":{"${name}":["${TABLE.version}",2000]}}`;
  await writeFile(join(directory, WHOLE_TABLES_FILE), text);
  t.true((await WholeTables.read(directory, true, 3_000)).has(name, TABLE));
  const tables = ['7', 'null', `{"${name}":7}`, `{"${name}":["${TABLE.version}"]}`];
  for (const nothing of [
    '',
    text.slice(0, -2),
    'null',
    '[]',
    ...tables.map((each) => `{"boot":${boot},"tables":${each}}`),
  ]) {
    await writeFile(join(directory, WHOLE_TABLES_FILE), nothing);
    t.false((await WholeTables.read(directory, true, 3_000)).has(name, TABLE), nothing);
  }
});
