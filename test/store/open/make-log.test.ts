import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { makeLog, openStore } from '../../../src/store/open/open-store.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

test('a log is made whole or not at all, and one that is there stays as it is', async (t) => {
  const directory = await temporaryDirectory(t);
  await makeLog(directory);
  t.deepEqual(await readdir(directory), ['log']);
  const manifest = await readFile(join(directory, 'log', 'CURRENT'), 'utf8');
  await makeLog(directory);
  t.is(await readFile(join(directory, 'log', 'CURRENT'), 'utf8'), manifest);
  const log = await LevelLog.open(join(directory, 'log'), { createIfMissing: false });
  t.is(log.head.seq, 0);
  await log.close();
});

test('power that goes while a log is made leaves what the next open replaces', async (t) => {
  const directory = await temporaryDirectory(t);
  // As LevelDB leaves it: its files are named, and have no bytes yet.
  const left = join(directory, '.tmp-0123456789abcdef01234567');
  await mkdir(left);
  await writeFile(join(left, 'CURRENT'), 'MANIFEST-000001\n');
  await writeFile(join(left, 'MANIFEST-000001'), '');
  await using store = await openStore(directory);
  t.is(store.log.head.seq, 0);
  t.deepEqual(
    (await readdir(directory)).filter((name) => name.startsWith('.tmp-')),
    [],
  );
});

test('a log that cannot be made is reported, and nothing is left', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'file'), '');
  await rejection(t, 'IO_FAILED', makeLog(join(directory, 'file')));
  t.deepEqual(await readdir(directory), ['file']);
});
