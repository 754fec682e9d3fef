import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { unpackedBackup } from '../../support/unpacked-backup.js';
import { archivePath } from '../fixture-archives.js';
import { newBackup } from './restored-store.js';

const OPEN_ELSEWHERE = fileURLToPath(new URL('../../support/open-elsewhere.js', import.meta.url));

test('a backup goes neither over one of another store, nor over other files, nor into the store', async (t) => {
  const [store, other] = [await openTestStore(t), await openTestStore(t)];
  const target = await newBackup(t, other);
  const before = await filesBelow(target);
  const error = await rejection(t, 'BACKUP_FOREIGN', store.backup(target));
  t.like(error.data, { found: other.stats().storeId, expected: store.stats().storeId });
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'file'), '');
  for (const taken of [folder, join(folder, 'file'), join(folder, 'file', 'below')]) {
    await rejection(t, 'FILE_EXISTS', store.backup(taken));
  }
  for (const own of [store.directory, join(store.directory, 'a', 'b'), other.directory]) {
    await rejection(t, 'FILE_EXISTS', store.backup(own));
  }
  t.deepEqual(await filesBelow(target), before);
  t.deepEqual(await readdir(folder), ['file']);
  t.false((await readdir(store.directory)).includes('a'));
});

test('a backup goes onto a fresh file system, which has what every one has', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const target = await temporaryDirectory(t);
  await mkdir(join(target, 'lost+found'));
  await writeFile(join(target, '.gitkeep'), '');
  await store.backup(target);
  await store.create(imageConfig('b'));
  t.is((await store.backup(target)).events, 2);
  t.deepEqual(await verifyStore(target), []);
  t.true((await readdir(target)).includes('lost+found'));
  const restored = join(await temporaryDirectory(t), 'restored');
  t.is((await restoreStore(restored, target)).events, 2);
});

test('a backup is not opened as a store, nor called a damaged one', async (t) => {
  const store = await openTestStore(t);
  const empty = await newBackup(t, store);
  await store.create(imageConfig('a'));
  for (const target of [empty, await newBackup(t, store)]) {
    const before = await filesBelow(target);
    for (const open of [
      () => openStore(target),
      () => openStore(target, { readOnly: true }),
      () => openStore(target, { create: false }),
      () => rebuildStore(target),
    ]) {
      const { message } = await rejection(t, 'STORE_NOT_FOUND', open());
      t.is(message, `no store in ${target}: it is a backup`);
    }
    t.deepEqual(await filesBelow(target), before);
  }
});

test('a first backup that was aborted is an unfinished backup to every reader, and the next run finishes it', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const target = join(await temporaryDirectory(t), 'backup');
  const controller = new AbortController();
  const aborted = store.backup(target, { onProgress: () => controller.abort(), signal: controller.signal });
  await rejection(t, 'ABORTED', aborted);
  await rejection(t, 'BACKUP_NOT_FOUND', verifyStore(target));
  await rejection(t, 'STORE_NOT_FOUND', openStore(target, { readOnly: true }));
  await rejection(t, 'STORE_NOT_FOUND', openStore(target));
  await store.backup(target);
  t.deepEqual(await verifyStore(target), []);
});

test('the progress of a backup never passes its total, and ends with it', async (t) => {
  const store = await openTestStore(t);
  const target = join(await temporaryDirectory(t), 'backup');
  for (const name of ['a', 'b']) {
    await store.create(imageConfig(name));
    const seen: [bytes: number, total: number][] = [];
    await store.backup(target, { onProgress: (bytes, total) => void seen.push([bytes, total]) });
    t.true(seen.every(([bytes, total], at) => bytes <= total && bytes >= (seen[at - 1]?.[0] ?? 0)));
    const [bytes, total] = seen.at(-1) ?? [];
    t.true(bytes !== undefined && bytes === total);
  }
});

test('a backup of a longer or of another history of the store is not overwritten', async (t) => {
  const root = await temporaryDirectory(t);
  const [directory, copy, target] = [join(root, 'store'), join(root, 'copy'), join(root, 'backup')];
  await (await openStore(directory)).close();
  await cp(directory, copy, { recursive: true });
  await using store = await openStore(directory);
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  await store.backup(target);
  const before = await filesBelow(target);
  await using forked = await openStore(copy);
  await forked.create(imageConfig('c'));
  const shorter = await rejection(t, 'CHECKPOINT_FORKED', forked.backup(target));
  t.regex(shorter.message, /has 2 events, the log only 1/);
  await forked.create(imageConfig('d'));
  await rejection(t, 'CHECKPOINT_FORKED', forked.backup(target));
  t.deepEqual(await filesBelow(target), before);
  await writeFile(join(target, 'checkpoint'), 'no checkpoint');
  await rejection(t, 'BACKUP_INVALID', store.backup(target));
});

test('a restore replaces nothing, and needs a backup', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const source = await newBackup(t, store);
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'file'), '');
  await rejection(t, 'STORE_EXISTS', restoreStore(store.directory, source));
  await rejection(t, 'STORE_NOT_EMPTY', restoreStore(folder, source));
  await rejection(t, 'FILE_EXISTS', restoreStore(join(folder, 'file'), source));
  await rejection(t, 'FILE_EXISTS', restoreStore(join(source, 'store'), source));
  for (const nothing of [folder, join(folder, 'none'), join(folder, 'file')]) {
    await rejection(t, 'BACKUP_NOT_FOUND', restoreStore(join(await temporaryDirectory(t), 'new'), nothing));
  }
  const other = await openTestStore(t);
  for (const { directory } of [store, other]) {
    const error = await rejection(t, 'BACKUP_NOT_FOUND', restoreStore(join(folder, 'new'), directory));
    t.is(error.message, `no backup in ${directory}: it is a store`);
  }
  for (const wrong of [{ onNotice: 1 }, { onProgress: 1 }, { signal: 1 }]) {
    await t.throwsAsync(restoreStore(join(folder, 'new'), source, wrong as object), { instanceOf: TypeError });
  }
  await mkdir(join(folder, 'empty'));
  await restoreStore(join(folder, 'empty'), source);
  t.deepEqual(await verifyStore(join(folder, 'empty')), []);
});

test('neither a restore nor a backup goes into the folder of another store or backup', async (t) => {
  const [store, other] = [await openTestStore(t), await openTestStore(t)];
  await store.create(imageConfig('a'));
  const [source, foreign] = [await newBackup(t, store), await newBackup(t, other)];
  for (const folder of [other.directory, foreign]) {
    const before = await readdir(folder, { recursive: true });
    for (const below of [['new'], ['a', 'b', 'c'], ['blobs', 'sha256', 'new'], ['snapshots']]) {
      const place = join(folder, ...below);
      const error = await rejection(t, 'FILE_EXISTS', restoreStore(place, source), place);
      t.true(
        error.message.includes(`it lies in the ${folder === foreign ? 'backup' : 'store'} ${folder}`),
        error.message,
      );
      await rejection(t, 'FILE_EXISTS', store.backup(place), place);
    }
    t.deepEqual(await readdir(folder, { recursive: true }), before);
  }
});

test('a restore and a backup to a link that leads nowhere are refused before any work is done', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const source = await newBackup(t, store);
  const folder = await temporaryDirectory(t);
  await symlink(join(folder, 'nowhere'), join(folder, 'link'));
  await symlink('link', join(folder, 'chain'));
  const onProgress = (): void => t.fail('it was begun');
  for (const place of ['link', 'chain', 'link/below', 'chain/far/below']) {
    const error = await rejection(t, 'FILE_EXISTS', restoreStore(join(folder, place), source, { onProgress }), place);
    t.regex(error.message, /(?:link|chain) is a link that leads nowhere/);
    await rejection(t, 'FILE_EXISTS', store.backup(join(folder, place), { onProgress }), place);
  }
  t.deepEqual((await readdir(folder)).sort(), ['chain', 'link']);
  // A file of this name makes no store of the folder.
  await writeFile(join(folder, 'log'), '');
  await mkdir(join(folder, 'nowhere'));
  await restoreStore(join(folder, 'chain'), source);
  t.deepEqual(await verifyStore(join(folder, 'nowhere')), []);
});

test('a restore clears what killed ones left, and leaves what others build', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const source = await newBackup(t, store);
  const folder = await temporaryDirectory(t);
  const ended = fork(OPEN_ELSEWHERE, [folder], { silent: true, execArgv: [] });
  await once(ended, 'close');
  const left = `.store.restoring-${ended.pid}-0123456789ab`;
  const others = [
    `.store.restoring-${process.ppid}-0123456789ab`,
    '.store.restoring-notes',
    '.other.restoring-1-0123456789ab',
  ];
  for (const name of [left, ...others]) await mkdir(join(folder, name, 'log'), { recursive: true });
  await restoreStore(join(folder, 'store'), source);
  t.deepEqual((await readdir(folder)).sort(), [...others, 'store'].sort());
});

test('a backup and a restore that are aborted leave what was there', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  const target = await newBackup(t, store);
  await store.load(archivePath('docker25-all.tar'));
  const before = await filesBelow(target);
  for (const after of [0, 1, 5]) {
    const controller = new AbortController();
    let calls = 0;
    const onProgress = (): void => {
      if (calls++ === after) controller.abort();
    };
    await rejection(t, 'ABORTED', store.backup(target, { onProgress, signal: controller.signal }));
    const files = await filesBelow(target);
    for (const [path, bytes] of before) t.deepEqual(files.get(path), bytes, path);
    t.deepEqual(await verifyStore(target), []);
  }
  await store.backup(target);
  t.deepEqual(await unpackedBackup(target), await unpackedBackup(await newBackup(t, store)));
  const folder = await temporaryDirectory(t);
  const controller = new AbortController();
  const restored = restoreStore(join(folder, 'store'), target, {
    onProgress: (bytes, total) => bytes > (total * 3) / 4 && controller.abort(),
    signal: controller.signal,
  });
  await rejection(t, 'ABORTED', restored);
  t.deepEqual(await readdir(folder), []);
});

test('after a backup the store is still locked, by the same file', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const lock = join(store.directory, 'log', 'LOCK');
  const before = await stat(lock);
  await newBackup(t, store);
  const after = await stat(lock);
  t.deepEqual([after.ino, after.mtimeMs, after.ctimeMs], [before.ino, before.mtimeMs, before.ctimeMs]);
  const child = fork(OPEN_ELSEWHERE, [store.directory], { execArgv: [] });
  const [answer] = (await once(child, 'message')) as [unknown];
  t.deepEqual(answer, { code: 'STORE_LOCKED', pid: process.pid });
});

test('a damaged blob or config is told by name, and the backup before stays', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const [first = ''] = await readdir(join(store.directory, 'blobs', 'sha256'));
  const blob = join(store.directory, 'blobs', 'sha256', first);
  const whole = await readFile(blob);
  const target = join(await temporaryDirectory(t), 'backup');
  await rm(blob);
  await rejection(t, 'BLOB_MISSING', store.backup(target));
  await writeFile(
    blob,
    whole.map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
  );
  const error = await rejection(t, 'BLOB_CORRUPT', store.backup(target));
  t.true(error.message.includes(first));
  await rejection(t, 'BACKUP_NOT_FOUND', restoreStore(join(await temporaryDirectory(t), 'store'), target));
  await writeFile(blob, whole);
  await store.backup(target);
  t.deepEqual(await verifyStore(target), []);
});

test('a closed store is not backed up, and a store that closes finishes its backup', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const target = join(await temporaryDirectory(t), 'backup');
  let begun: Promise<void> | undefined;
  const onProgress = (): void => {
    begun ??= store.close();
  };
  const backup = store.backup(target, { onProgress });
  t.is((await backup).directory, target);
  await begun;
  t.deepEqual(await verifyStore(target), []);
  await rejection(t, 'STORE_CLOSED', store.backup(target));
});
