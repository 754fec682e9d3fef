import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Level } from 'level';
import { isStoreError } from '../../../src/errors.js';
import type { Database } from '../../../src/log/log.js';
import { openDatabaseReadOnly } from '../../../src/store/open/open-database.js';
import { rejection } from '../../support/rejection.js';
import { fewDescriptors, withCalls } from '../../support/replaced-calls.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

type Row = readonly [key: string, value: string];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const key = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

async function openLevel(location: string): Promise<Database> {
  // Small tables, so that a small database has several levels of them.
  const level = new Level<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    writeBufferSize: 64 * 1024,
    maxFileSize: 1024 * 1024,
    blockSize: 512,
  });
  await level.open();
  return level;
}

async function rowsOf(database: Database, range: object): Promise<Row[]> {
  const rows = await database.iterator({ ...range, highWaterMarkBytes: 1_000 }).all();
  return rows.map(([rowKey, value]) => [hex(rowKey), hex(value)] as const);
}

/** Keys that are close together, so that they are written again, deleted, and shared by tables. */
const keys = fc.uint8Array({ minLength: 1, maxLength: 3, max: 4 }).map((bytes) => hex(bytes));
const write = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key: keys, size: fc.integer({ min: 0, max: 3_000 }) }),
  fc.record({ kind: fc.constant('del' as const), key: keys, size: fc.constant(0) }),
);
const bounds = fc.record(
  { gt: keys, gte: keys, lt: keys, lte: keys, reverse: fc.boolean(), limit: fc.integer({ min: 0, max: 9 }) },
  { requiredKeys: [] },
);

async function written(location: string, batches: readonly (readonly { kind: string; key: string; size: number }[])[]) {
  const level = await openLevel(location);
  for (const batch of batches) {
    const chained = level.batch();
    for (const each of batch) {
      // Half of a value can be compressed.
      const value = Buffer.concat([randomBytes(Math.ceil(each.size / 2)), Buffer.alloc(Math.floor(each.size / 2))]);
      if (each.kind === 'put') chained.put(key(each.key), new Uint8Array(value));
      else chained.del(key(each.key));
    }
    await chained.write();
  }
  return level;
}

test('it gives what LevelDB gives, in both directions, within any bounds, for every key', async (t) => {
  const directory = await temporaryDirectory(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(write, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 30 }),
      fc.array(bounds, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      async (batches, ranges, isCompacted) => {
        const location = join(directory, String(runs++));
        const level = await written(location, batches);
        if (isCompacted) await level.compactRange?.(Uint8Array.of(0), Uint8Array.of(255));
        // Beside LevelDB, which has the database open still.
        const reader = await openDatabaseReadOnly(location);
        try {
          for (const range of [{}, { reverse: true }, ...ranges]) {
            const { gt, gte, lt, lte, ...rest } = range as { gt?: string; gte?: string; lt?: string; lte?: string };
            const named = Object.entries(gt === undefined ? { gte } : { gt }).concat(
              Object.entries(lt === undefined ? { lte } : { lt }),
            );
            const within = Object.fromEntries(
              named.flatMap(([name, at]) => (at === undefined ? [] : [[name, key(at)]])),
            );
            const asked = { ...within, ...rest };
            t.deepEqual(await rowsOf(reader, asked), await rowsOf(level, asked));
          }
          for (const each of batches.flat()) {
            const [found, expected] = [reader, level].map((database) => database.getSync(key(each.key)));
            t.is(found && hex(found), expected && hex(expected));
          }
        } finally {
          await reader.close();
          await level.close();
        }
      },
    ),
    { numRuns: 40 },
  );
});

async function manyRows(t: ExecutionContext): Promise<{ location: string; level: Database; rows: Row[] }> {
  const location = join(await temporaryDirectory(t), 'log');
  const level = await openLevel(location);
  t.teardown(() => level.close());
  for (let at = 0; at < 2_000; at += 10) {
    const batch = level.batch();
    for (let of = at; of < at + 10; of++)
      batch.put(Uint8Array.of(1, of >> 8, of & 255), new Uint8Array(randomBytes(400)));
    await batch.write({ sync: true });
  }
  return { location, level, rows: await rowsOf(level, {}) };
}

test('it stays as it was while a writer puts, deletes and compacts', async (t) => {
  const { location, level, rows } = await manyRows(t);
  const reader = await openDatabaseReadOnly(location);
  const before = await readdir(location);
  await level.clear();
  await level.compactRange?.(Uint8Array.of(0), Uint8Array.of(255));
  const after = new Set(await readdir(location));
  t.true(before.some((name) => name.endsWith('.ldb') && !after.has(name)));
  t.deepEqual(await rowsOf(reader, {}), rows);
  t.deepEqual(hex(reader.getSync(key(rows[0]?.[0] as string)) as Uint8Array), rows[0]?.[1]);
  await reader.close();
  const later = await openDatabaseReadOnly(location);
  t.deepEqual(await rowsOf(later, {}), []);
  await later.close();
});

test('a damaged block is its own error, and never a row', async (t) => {
  const { location, level, rows } = await manyRows(t);
  await level.close();
  const table = (await readdir(location)).find((name) => name.endsWith('.ldb')) as string;
  const bytes = await readFile(join(location, table));
  bytes[100] = (bytes[100] as number) ^ 1;
  await writeFile(join(location, table), bytes);
  const reader = await openDatabaseReadOnly(location);
  const error = await t.throwsAsync(rowsOf(reader, {}), { code: 'LEVEL_CORRUPTION' });
  t.regex(String(error?.message), new RegExp(`the table ${table} is damaged between byte 0 and `));
  t.throws(() => reader.getSync(key(rows[0]?.[0] as string)), { code: 'LEVEL_CORRUPTION' });
  await reader.close();
});

test('a missing table, MANIFEST or CURRENT, and a pipe in the place of one, are damage', async (t) => {
  for (const pattern of [/\.ldb$/, /^MANIFEST/, /^CURRENT$/]) {
    const { location, level } = await manyRows(t);
    await level.close();
    const name = (await readdir(location)).find((each) => pattern.test(each)) as string;
    await rm(join(location, name));
    const missing = await rejection(t, 'LOG_CORRUPT', openDatabaseReadOnly(location));
    t.regex(missing.message, new RegExp(`${name} is missing`));
    await mkdir(join(location, name));
    const misplaced = await rejection(t, 'LOG_CORRUPT', openDatabaseReadOnly(location));
    t.regex(misplaced.message, new RegExp(`${name} is not a file`));
  }
});

test('it cannot be written to', async (t) => {
  const { location } = await manyRows(t);
  const reader = await openDatabaseReadOnly(location);
  const row = [Uint8Array.of(9), Uint8Array.of(9)] as const;
  await t.throwsAsync(reader.put(...row), { code: 'LEVEL_READ_ONLY' });
  await t.throwsAsync(reader.del(row[0]), { code: 'LEVEL_READ_ONLY' });
  t.throws(() => reader.batch(), { code: 'LEVEL_READ_ONLY' });
  await t.throwsAsync(reader.clear(), { code: 'LEVEL_READ_ONLY' });
  t.is(reader.getSync(row[0]), undefined);
  await reader.close();
});

test('it is read row by row, in pages or whole, and not after it was closed', async (t) => {
  const { location, rows } = await manyRows(t);
  const reader = await openDatabaseReadOnly(location);
  const all: string[] = [];
  for await (const each of reader.keys({ limit: 3 })) all.push(hex(each));
  t.deepEqual(
    all,
    rows.slice(0, 3).map(([each]) => each),
  );
  const values = reader.values({ limit: 3 });
  t.is(hex((await values.next()) as Uint8Array), rows[0]?.[1] ?? '');
  t.deepEqual(
    (await values.nextv(9)).map((each) => hex(each)),
    rows.slice(1, 3).map(([, value]) => value),
  );
  t.is(await values.next(), undefined);
  t.deepEqual(await values.nextv(1), []);
  t.deepEqual(
    (await reader.getMany([key(rows[1]?.[0] as string), Uint8Array.of(9)])).map((each) => each && hex(each)),
    [rows[1]?.[1], undefined],
  );
  await values.close();
  await t.throwsAsync(values.next(), { code: 'LEVEL_ITERATOR_NOT_OPEN' });
  const open = reader.iterator({ snapshot: reader.snapshot() });
  t.is((await open.nextv(2)).length, 2);
  await reader.close();
  await t.throwsAsync(open.nextv(2), { code: 'LEVEL_DATABASE_NOT_OPEN' });
  await t.throwsAsync(reader.get(Uint8Array.of(9)), { code: 'LEVEL_DATABASE_NOT_OPEN' });
  for (const read of [() => reader.keys(), () => reader.snapshot(), () => reader.getSync(Uint8Array.of(9))])
    t.throws(read, { code: 'LEVEL_DATABASE_NOT_OPEN' });
});

/** Resolves with the error of an open that can have so many files of the database open at once. */
async function openWithin(most: number, code: string, location: string): Promise<unknown> {
  return withCalls(fewDescriptors(most, code, location), async () => {
    try {
      await (await openDatabaseReadOnly(location)).close();
      return undefined;
    } catch (error) {
      return error;
    }
  });
}

for (const code of ['EMFILE', 'ENFILE']) {
  test(`that a process has no descriptor left is no damage: ${code}`, async (t) => {
    const { location, level } = await manyRows(t);
    await level.close();
    for (const isInTables of [false, true]) {
      // An open for writing leaves an empty write-ahead log, which a reader need not sync.
      if (isInTables) await (await openLevel(location)).close();
      const tables = (await readdir(location)).filter((name) => name.endsWith('.ldb')).length;
      // One more is needed beside the tables, for a moment.
      for (let most = 0; most <= tables; most++) {
        const error = await openWithin(most, code, location);
        t.true(isStoreError(error, 'IO_FAILED'), `${most} of ${tables}: ${String(error)}`);
        t.regex(String(error), new RegExp(`${code}: failed by the test`));
      }
      t.is(await openWithin(tables + 1, code, location), undefined);
    }
  });
}
