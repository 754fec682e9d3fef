import { rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { anyOperation, outcomeOf } from '../../support/store-operations.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { contentOfBackup, packsOfBackup, unpackedBackup } from '../../support/unpacked-backup.js';
import { archivePath } from '../fixture-archives.js';
import { isBackupOf, newBackup } from './restored-store.js';

/** Identity and time of every file of a backup: what changes when one is written again. */
async function identities(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of (await filesBelow(directory)).keys()) {
    const { ino, mtimeNs } = await stat(join(directory, path), { bigint: true });
    found.set(path, `${ino} ${mtimeNs}`);
  }
  return found;
}

test('after any operations, the next run writes what is new and touches nothing else', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const property = fc.asyncProperty(fc.array(anyOperation, { minLength: 3, maxLength: 12 }), async (operations) => {
    const [directory, target] = [join(root, `store${++run}`), join(root, `backup${run}`)];
    await using store = await openStore(directory);
    for (const operation of operations) {
      await store.backup(target);
      const before = await identities(target);
      await outcomeOf(store, operation);
      const report = await store.backup(target);
      const after = await identities(target);
      const written = [...after].filter(([path, identity]) => before.get(path) !== identity);
      t.is(report.filesWritten, written.length);
      for (const [path] of written) t.true(path === 'checkpoint' || !before.has(path), `${path} was written again`);
      t.is(report.filesRemoved, [...before.keys()].filter((path) => !after.has(path)).length);
    }
    const whole = join(root, `whole${run}`);
    await store.backup(whole);
    t.deepEqual(await unpackedBackup(target), await unpackedBackup(whole));
    t.deepEqual(await verifyStore(target), []);
  });
  await fc.assert(property, { numRuns: 4 });
});

for (const events of [0, 1, 255, 256, 257, 513]) {
  test(`a log of ${events} events is backed up and restored, from the backup of one that was shorter`, async (t) => {
    const store = await openTestStore(t);
    const target = await newBackup(t, store);
    if (events > 0) await store.create(imageConfig('a'));
    const half = Math.floor(events / 2);
    const updates = async (count: number): Promise<void> => {
      await Promise.all(Array.from({ length: count }, () => store.setLastUpdated(idNamed('a'))));
    };
    await updates(Math.max(0, half - 1));
    await store.backup(target);
    await updates(events - store.log.head.seq);
    t.is((await store.backup(target)).events, events);
    t.deepEqual(await verifyStore(target), []);
    await isBackupOf(t, target, store);
  });
}

test('a file of a full tile that is gone or cut short is written again', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: 600 }, () => store.setLastUpdated(idNamed('a'))));
  const target = await newBackup(t, store);
  const whole = await filesBelow(target);
  await rm(join(target, 'tile/entries/000'));
  await truncate(join(target, 'tile/0/001'), 100);
  for (const pack of await packsOfBackup(target)) await rm(join(target, pack));
  t.is((await store.backup(target)).filesWritten, 3);
  t.deepEqual(await filesBelow(target), whole);
});

test('what was erased is in the backup no more after the next run, and the events are', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const image = store.resolve('twice:1');
  const config = Buffer.from(store.backend.get(image));
  await store.delete(image);
  const target = await newBackup(t, store);
  t.true((await contentOfBackup(target)).includes(image));
  await store.erase(image, 'asked for');
  const report = await store.backup(target);
  t.true(report.filesRemoved >= 1);
  t.false((await contentOfBackup(target)).includes(image));
  for (const bytes of (await filesBelow(target)).values()) t.false(Buffer.from(bytes).includes(config));
  t.deepEqual(await verifyStore(target), []);
  await isBackupOf(t, target, store);
});

test('content that was erased and came again is restored', async (t) => {
  const store = await openTestStore(t);
  for (const reason of ['once', 'twice']) {
    const image = await store.create(imageConfig('a'));
    await store.delete(image);
    await store.erase(image, reason);
  }
  await store.create(imageConfig('a'));
  await isBackupOf(t, await newBackup(t, store), store);
});

test('a backup while writers continue is the store at one head', async (t) => {
  const store = await openTestStore(t);
  // A slow machine must not let the log grow faster than it is verified: the writers end by themselves.
  let isDone = false;
  const writing = async (writer: number): Promise<void> => {
    for (let at = 0; !isDone && at < 500; at++) {
      const image = await store.create(imageConfig(`${writer} ${at}`));
      await store.tag({ source: image, target: `writer/${writer}:latest` });
      if (at % 3 === 0) await store.delete(image);
    }
  };
  const writers = [0, 1, 2, 3].map(writing);
  const loads = (async () => {
    for (let at = 0; at < 4; at++) {
      await store.load(archivePath('docker25-all.tar'));
      await store.load(archivePath('oci-zstd.tar'));
      // Its layer files go while a backup may be about to read them.
      await store.delete(store.resolve('twice:1'));
      await store.delete(store.resolve('shop/app:2.0'));
    }
  })();
  const root = await temporaryDirectory(t);
  for (let at = 0; at < 4; at++) {
    // Full and incremental in turn.
    const target = join(root, `${at % 2 === 0 ? at : 0}`);
    const { events } = await store.backup(target);
    t.true(events <= store.log.head.seq);
    t.deepEqual(await verifyStore(target), []);
  }
  await loads;
  isDone = true;
  await Promise.all(writers);
  await store.backup(join(root, '0'));
  await isBackupOf(t, join(root, '0'), store);
});
