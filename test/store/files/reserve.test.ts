import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { mkdir, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { MAX_LOG_BYTES_AT_CLOSE, MAX_RESERVE_BYTES, RESERVE_BYTES } from '../../../src/limits.js';
import { Reserve } from '../../../src/store/files/reserve.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { failing, freeBytes, withCalls } from '../../support/replaced-calls.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { temporaryStore } from '../temporary-store.js';

test('an open for writing makes the reserve of RESERVE_BYTES where it is missing, one for reading does not', async (t) => {
  const store = await temporaryStore(t);
  const path = join(store.directory, 'reserve');
  t.is((await stat(path)).size, RESERVE_BYTES);
  await store.close();
  await rm(path);
  await (await openStore(store.directory, { readOnly: true })).close();
  await t.throwsAsync(stat(path), { code: 'ENOENT' });
  await (await openStore(store.directory)).close();
  t.is((await stat(path)).size, RESERVE_BYTES);
});

test('a close puts a write-ahead log of more than MAX_LOG_BYTES_AT_CLOSE into a table, and leaves a smaller one', async (t) => {
  const walBytes = async (directory: string): Promise<number> => {
    const names = (await readdir(join(directory, 'log'))).filter((name) => name.endsWith('.log'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, 'log', name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  for (const [size, isKept] of [
    [MAX_LOG_BYTES_AT_CLOSE / 4, true],
    [MAX_LOG_BYTES_AT_CLOSE, false],
  ] as const) {
    const store = await temporaryStore(t);
    await store.create(imageConfig(randomBytes(size / 2).toString('hex')));
    await store.close();
    t.is((await walBytes(store.directory)) > size, isKept);
    await using again = await openStore(store.directory, { readOnly: true });
    t.is(again.len(), 1);
  }
});

test('the reserve grows with the tables of the log, up to MAX_RESERVE_BYTES', async (t) => {
  const directory = await temporaryDirectory(t);
  const table = join(directory, 'log', '000005.ldb');
  await mkdir(join(directory, 'log'));
  await writeFile(table, '');
  for (const [tableBytes, expected] of [
    [0, RESERVE_BYTES],
    [RESERVE_BYTES, 2 * RESERVE_BYTES],
    [6 * RESERVE_BYTES, 4 * RESERVE_BYTES],
    [1_000 * RESERVE_BYTES, MAX_RESERVE_BYTES],
    [0, MAX_RESERVE_BYTES],
  ] as const) {
    await truncate(table, tableBytes);
    await new Reserve(directory).keep();
    t.is((await stat(join(directory, 'reserve'))).size, expected, `${tableBytes}`);
  }
});

test('on a full disk the reserve stays during a dry run of a prune, and goes for the prune', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  await store.delete(idNamed('a'));
  const path = join(store.directory, 'reserve');
  const before = store.log.head.seq;
  await withCalls(freeBytes(0), async () => {
    t.is((await store.prune({ before, dryRun: true })).contents.length, 1);
    t.true(fs.existsSync(path));
    // Its purge finds no room either.
    await rejection(t, 'DISK_FULL', store.prune({ before }));
    t.false(fs.existsSync(path));
  });
  await store.close();
  t.true(fs.existsSync(path), 'a close makes it again');
});

test('the reserve stays when LevelDB has more to write than fits with it, and goes when that fits', async (t) => {
  const directory = await temporaryDirectory(t);
  const [path, log] = [join(directory, 'reserve'), join(directory, 'log', '000006.log')];
  await mkdir(join(directory, 'log'));
  await writeFile(log, '');
  const reserve = new Reserve(directory);
  await reserve.keep();
  for (const [free, unwritten, isKept] of [
    [0, RESERVE_BYTES + 1, true],
    [RESERVE_BYTES, 2 * RESERVE_BYTES + 1, true],
    [2 * RESERVE_BYTES, 0, true],
    [RESERVE_BYTES, 2 * RESERVE_BYTES, false],
    [0, RESERVE_BYTES, false],
  ] as const) {
    await truncate(log, unwritten);
    await withCalls(freeBytes(free), async () => reserve.giveUpWhenLow());
    t.is(fs.existsSync(path), isKept, `${free} ${unwritten}`);
    await reserve.keep();
  }
});

test('a folder of the log that cannot be listed keeps no store from being closed', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  const readdirSync = failing(fs.readdirSync, 'EIO', (path) => path === join(store.directory, 'log'));
  await withCalls({ sync: { readdirSync } }, () => store.close());
  await using again = await openStore(store.directory, { create: false });
  t.is(again.len(), 1);
});
