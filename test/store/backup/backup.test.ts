import { join } from 'node:path';
import test from 'ava';
import { MAX_PACKED_CONTENT_BYTES } from '../../../src/limits.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { contentOfBackup, contentsOfPack, packsOfBackup } from '../../support/unpacked-backup.js';
import { archivePath } from '../fixture-archives.js';
import { isBackupOf, newBackup } from './restored-store.js';

test('a backup is restored to the same store, and that is backed up to the same bytes', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await store.load(archivePath('oci-multi-platform.tar'));
  await store.delete(store.resolve('tiny:1'));
  const source = await newBackup(t, store);
  await isBackupOf(t, source, store);
});

test('the files of a backup are those of a tlog-tiles log, a pack of small content, and large content by its digest', async (t) => {
  const store = await openTestStore(t);
  for (let at = 0; at < 299; at++) await store.create(imageConfig(`${at}`));
  const large = await store.create(imageConfig('x'.repeat(MAX_PACKED_CONTENT_BYTES)));
  const target = join(await temporaryDirectory(t), 'backup');
  const report = await store.backup(target);
  const files = await filesBelow(target);
  const [pack = '', ...others] = await packsOfBackup(target);
  t.deepEqual(others, []);
  t.is(contentsOfPack(files.get(pack) as Buffer).size, 299);
  t.is((await contentOfBackup(target)).length, 300);
  t.deepEqual([...files.keys()].sort(), [
    'checkpoint',
    pack,
    `content/sha256/${large.slice('sha256:'.length)}`,
    'imagelog.json',
    'tile/0/000',
    'tile/0/001.p/44',
    'tile/1/000.p/1',
    'tile/entries/000',
    'tile/entries/001.p/44',
  ]);
  t.like(report, { directory: target, events: 300, filesWritten: 9, filesRemoved: 0, files: 9 });
  t.is(
    report.bytes,
    [...files.values()].reduce((sum, { length }) => sum + length, 0),
  );
  t.is(report.bytesWritten, report.bytes);
});
