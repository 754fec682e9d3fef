import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { contentKey, eventKey, treeKey } from '../../../src/log/rows.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { VerifyProgress } from '../../../src/store/verify/verify-source.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { idNamed } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { briefly, type DamagedStore, flipped, storeToDamage } from './damaged-store.js';

const store = storeToDamage();

/** The bytes of every file, but for those that `isLeftOut`. */
async function bytesOf({ directory }: DamagedStore, isLeftOut: (path: string) => boolean): Promise<[string, string][]> {
  const files = [...(await filesBelow(directory))].filter(([path]) => !isLeftOut(path));
  return files.map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]);
}

test('a directory that is not a store is refused, and left as it is', async (t) => {
  const directory = await temporaryDirectory(t);
  await rejection(t, 'STORE_NOT_FOUND', verifyStore(directory));
  await rejection(t, 'STORE_NOT_FOUND', verifyStore(join(directory, 'none')));
  await writeFile(join(directory, 'file'), '');
  await rejection(t, 'STORE_NOT_A_DIRECTORY', verifyStore(join(directory, 'file')));
  t.deepEqual(await readdir(directory), ['file']);
});

test('a store that is open is not verified beside, and one that was verified opens', async (t) => {
  const { directory } = await store(t);
  const open = await openStore(directory);
  await rejection(t, 'STORE_LOCKED', verifyStore(directory));
  await open.close();
  t.deepEqual(await verifyStore(directory), []);
  await (await openStore(directory, { create: false })).close();
});

test('verification changes no file but those of LevelDB', async (t) => {
  const damaged = await store(t);
  const isOfLevel = (path: string): boolean => path.startsWith('log/');
  const before = await bytesOf(damaged, isOfLevel);
  await damaged.verify();
  t.deepEqual(await bytesOf(damaged, isOfLevel), before);
});

test('a write-ahead log with a flipped bit is verified on a copy, and stays as it is', async (t) => {
  const damaged = await store(t);
  const [name = ''] = (await readdir(damaged.path('log'))).filter((each) => each.endsWith('.log'));
  const bytes = await readFile(damaged.path('log', name));
  await writeFile(damaged.path('log', name), flipped(bytes, Math.floor(bytes.length / 2)));
  const isInfoLog = (path: string): boolean => /log\/LOG/.test(path);
  const before = await bytesOf(damaged, isInfoLog);
  const violations = briefly(await damaged.verify());
  t.true(violations.includes(`LOG_FILE_DAMAGED log/${name}`), violations.join('\n'));
  t.true(violations.includes('CHECKPOINT_AHEAD checkpoint') || violations.some((each) => /^RECORD_MISSING/.test(each)));
  t.deepEqual(await bytesOf(damaged, isInfoLog), before);
});

test('without a log that opens, what stands beside it is still checked', async (t) => {
  const damaged = await store(t);
  await rm(damaged.path('log', 'CURRENT'));
  await rm(damaged.path('imagelog.json'));
  await writeFile(damaged.path('checkpoint'), 'none');
  const [blob = ''] = await readdir(damaged.path('blobs', 'sha256'));
  const path = damaged.path('blobs', 'sha256', blob);
  await writeFile(path, flipped(await readFile(path), 0));
  const [snapshot = ''] = await readdir(damaged.path('snapshots'));
  await writeFile(damaged.path('snapshots', snapshot), 'none');
  const ofTheLog = ['LOG_FILE_DAMAGED log/CURRENT', 'SIDECAR_MISSING imagelog.json'];
  t.deepEqual(briefly(await damaged.verify()), [
    `BLOB_WRONG blobs/sha256/${blob}`,
    'CHECKPOINT_DAMAGED checkpoint',
    ...ofTheLog,
    `SNAPSHOT_DAMAGED snapshots/${snapshot}`,
  ]);
  t.deepEqual(briefly(await damaged.verify({ fast: true })), ['CHECKPOINT_DAMAGED checkpoint', ...ofTheLog]);
});

test('a store without the directory of its log is reported', async (t) => {
  const damaged = await store(t);
  await rm(damaged.path('log'), { recursive: true });
  await rm(damaged.path('snapshots'), { recursive: true });
  const violations = briefly(await damaged.verify());
  t.true(violations.includes('LOG_FILE_DAMAGED log/.'), violations.join('\n'));
  t.false((await readdir(damaged.directory)).includes('log'));
});

test('a table with a damaged block is reported, and never opened', async (t) => {
  const damaged = await store(t);
  await damaged.compact();
  const tables = (await readdir(damaged.path('log'))).filter((name) => name.endsWith('.ldb'));
  const sizes = await Promise.all(tables.map(async (name) => (await readFile(damaged.path('log', name))).length));
  const table = tables[sizes.indexOf(Math.max(...sizes))] ?? '';
  const bytes = await readFile(damaged.path('log', table));
  const middle = Math.floor(bytes.length / 2);
  await writeFile(damaged.path('log', table), bytes.fill(0xff, middle, middle + 64));
  t.deepEqual(briefly(await damaged.verify()), [`LOG_FILE_DAMAGED log/${table}`]);
});

test('a fast verify reports a missing leaf, and reads no record', async (t) => {
  const damaged = await store(t);
  await damaged.rows((rows) => rows.del(eventKey(100)));
  await damaged.row(eventKey(101), (row) => flipped(row, -1));
  t.deepEqual(briefly(await damaged.verify({ fast: true })), ['LEAF_MISSING event 100']);
});

test('progress says how far each part is, and an abort ends it', async (t) => {
  const damaged = await store(t);
  const last = new Map<string, VerifyProgress>();
  await damaged.verify({ onProgress: (progress) => void last.set(progress.what, progress) });
  t.deepEqual([...last.keys()], ['snapshots', 'events', 'index', 'content', 'blobs']);
  t.deepEqual(last.get('events'), { what: 'events', done: 632, total: 632 });
  for (const what of last.keys()) {
    const abort = new AbortController();
    const onProgress = (progress: VerifyProgress): void => {
      if (progress.what === what) abort.abort();
    };
    await rejection(t, 'ABORTED', damaged.verify({ signal: abort.signal, onProgress }));
  }
  await rejection(t, 'ABORTED', damaged.verify({ signal: AbortSignal.abort() }));
  t.deepEqual(await damaged.verify(), []);
});

test('several damages at once are all reported', async (t) => {
  const damaged = await store(t);
  await damaged.row(eventKey(100), (row) => flipped(row, -1));
  await damaged.row(eventKey(600), (row) => flipped(row, 0));
  await damaged.row(treeKey(1, 1), (row) => flipped(row, 4));
  await damaged.rows((rows) => rows.del(contentKey(idNamed('image 9'))));
  await damaged.row(contentKey(idNamed('image 8')), (row) => flipped(row, 1));
  const [gone = '', wrong = ''] = await readdir(damaged.path('blobs', 'sha256'));
  await rm(damaged.path('blobs', 'sha256', gone));
  await writeFile(damaged.path('blobs', 'sha256', wrong), 'x');
  t.deepEqual(briefly(await damaged.verify()), [
    `BLOB_MISSING blob sha256:${gone}`,
    `BLOB_SIZE_WRONG blobs/sha256/${wrong}`,
    `CONTENT_MISSING content ${idNamed('image 9')}`,
    `CONTENT_WRONG content ${idNamed('image 8')}`,
    'LEAF_WRONG event 600',
    'NOT_CHECKED views',
    'RECORD_DAMAGED event 100',
    'TILE_WRONG tile 1/1',
  ]);
});
