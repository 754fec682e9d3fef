import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { restoreStore } from '../../src/store/backup/restore.js';
import type { EventStore } from '../../src/store/event-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';
import { contentOfBackup, unpackedBackup } from '../support/unpacked-backup.js';
import { archivePath } from '../store/fixture-archives.js';
import { isBackupOf, newBackup } from '../store/backup/restored-store.js';

/** Removes every image, and erases every config, manifest and index that is left. */
async function eraseAll(t: ExecutionContext, store: EventStore): Promise<void> {
  const content = await contentOfBackup(await newBackup(t, store));
  while (store.heads().size > 0) for (const id of store.heads().keys()) await store.delete(id);
  for (const digest of content) await store.erase(digest, 'to be forgotten');
}

/** A store of which everything was erased, its backup, and then all of it loaded again and more. */
async function cameAgain(
  t: ExecutionContext,
  archive = 'docker25-all.tar',
): Promise<{ readonly store: EventStore; readonly target: string }> {
  const store = await openTestStore(t);
  await store.load(archivePath(archive));
  await eraseAll(t, store);
  const target = await newBackup(t, store);
  await store.load(archivePath(archive));
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: 300 }, () => store.setLastUpdated(idNamed('a'))));
  return { store, target };
}

/** Asserts that `source` verifies and restores to a store whose backup has in it what `expected` has. */
async function restoresAs(t: ExecutionContext, source: string, expected: string): Promise<void> {
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  t.deepEqual(await verifyStore(source, { onNotice }), []);
  const restored = join(await temporaryDirectory(t), 'restored');
  await restoreStore(restored, source, { onNotice });
  t.is(notices.length, 2);
  for (const notice of notices) t.regex(notice, /was interrupted.*run the backup again to tidy up/);
  t.deepEqual(await verifyStore(restored, { onNotice: (notice) => t.fail(notice) }), []);
  const again = await openTestStore(t, { directory: restored, create: false });
  t.deepEqual(await unpackedBackup(await newBackup(t, again)), await unpackedBackup(expected));
}

/** All files of two backups and the checkpoint of the first: what a killed run leaves at most. */
async function bothOf(t: ExecutionContext, first: string, second: string): Promise<string> {
  const both = join(await temporaryDirectory(t), 'both');
  await cp(second, both, { recursive: true });
  await cp(first, both, { recursive: true });
  await mkdir(join(both, '.staging'));
  return both;
}

test('a backup that is aborted at any step after content came again is the one before, and the next run tidies up', async (t) => {
  const { store, target: before } = await cameAgain(t, 'skopeo-tiny-1.tar');
  const after = await unpackedBackup(await newBackup(t, store));
  let steps = 0;
  let isDone = false;
  for (; !isDone; steps++) {
    const copy = join(await temporaryDirectory(t), 'copy');
    await cp(before, copy, { recursive: true });
    const controller = new AbortController();
    let calls = 0;
    const onProgress = (): void => {
      if (calls++ === steps) controller.abort();
    };
    isDone = await store.backup(copy, { onProgress, signal: controller.signal }).then(
      () => true,
      () => false,
    );
    if (isDone) continue;
    const restored = `${copy}.restored`;
    t.is((await restoreStore(restored, copy)).checkpoint, await readFile(join(before, 'checkpoint'), 'utf8'));
    t.deepEqual(await verifyStore(restored), []);
    await store.backup(copy);
    t.deepEqual(await unpackedBackup(copy), after);
  }
  t.true(steps > 5, `${steps}`);
});

test('with the files of two backups beside each other, it is that of its checkpoint: content came again', async (t) => {
  const { store, target: before } = await cameAgain(t);
  const after = await newBackup(t, store);
  await restoresAs(t, await bothOf(t, before, after), before);
  await restoresAs(t, await bothOf(t, after, before), after);
});

test('with the files of two backups beside each other, it is that of its checkpoint: content was erased', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await store.load(archivePath('oci-multi-platform.tar'));
  const before = await newBackup(t, store);
  await eraseAll(t, store);
  const after = await newBackup(t, store);
  await restoresAs(t, await bothOf(t, before, after), before);
  const killed = await bothOf(t, after, before);
  await restoresAs(t, killed, after);
  await store.backup(killed);
  t.deepEqual(await unpackedBackup(killed), await unpackedBackup(after));
  await isBackupOf(t, killed, store);
});

test('files that no state needs are neither read nor copied after an interrupted run', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const image = store.resolve('twice:1');
  const config = store.backend.get(image);
  const before = await newBackup(t, store);
  await store.delete(image);
  await store.erase(image, 'to be forgotten');
  const whole = await newBackup(t, store);
  const killed = await bothOf(t, whole, before);
  const other = 'ab'.repeat(32);
  for (const folder of ['content/sha256', 'content/packs', 'blobs/sha256']) {
    await mkdir(join(killed, folder, 'cd'.repeat(32)), { recursive: true });
    await writeFile(join(killed, folder, other), 'of no such digest');
  }
  await writeFile(join(killed, 'content/sha256', image.slice(-64)), 'erased, and not even what was erased');
  await restoresAs(t, killed, whole);
  // It is damage where no run was interrupted.
  await mkdir(join(whole, 'content/sha256'), { recursive: true });
  await writeFile(join(whole, 'content/sha256', image.slice(-64)), config);
  t.deepEqual(
    (await verifyStore(whole)).map(({ code }) => code),
    ['CONTENT_NOT_ERASED'],
  );
  await rejection(t, 'BACKUP_INVALID', restoreStore(join(await temporaryDirectory(t), 'restored'), whole));
});
