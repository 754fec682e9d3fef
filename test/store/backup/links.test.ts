import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';
import { MAX_PACKED_CONTENT_BYTES } from '../../../src/limits.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { packsOfBackup } from '../../support/unpacked-backup.js';
import { archivePath } from '../fixture-archives.js';
import { newBackup } from './restored-store.js';

/** Puts what is at `path` elsewhere, and a link to it in its place. Returns where it is. */
async function moveAway(path: string, elsewhere: string): Promise<string> {
  await mkdir(elsewhere, { recursive: true });
  const place = join(elsewhere, basename(path));
  await rename(path, place);
  await symlink(place, path);
  return place;
}

for (const what of [
  'checkpoint',
  'imagelog.json',
  'tile',
  'tile/0',
  'content',
  'content/sha256',
  'content/packs',
  'blobs/sha256',
]) {
  test(`a backup of which a part is a link to somewhere else does not verify, and is not restored: ${what}`, async (t) => {
    const store = await openTestStore(t);
    await store.load(archivePath('docker25-all.tar'));
    await store.create(imageConfig('x'.repeat(MAX_PACKED_CONTENT_BYTES)));
    const source = await newBackup(t, store);
    const place = await temporaryDirectory(t);
    await moveAway(join(source, what), join(place, 'elsewhere'));
    const found = await verifyStore(source);
    t.true(
      found.some((violation) => violation.place === what),
      JSON.stringify(found),
    );
    const error = await rejection(t, 'BACKUP_INVALID', restoreStore(join(place, 'restored'), source));
    t.deepEqual(error.data['violations'], found);
    t.deepEqual(await readdir(place), ['elsewhere']);
  });
}

test('a file of a backup that is a link is not a file of it, and the next run writes it again', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const source = await newBackup(t, store);
  const [pack = ''] = await packsOfBackup(source);
  const place = await moveAway(join(source, pack), await temporaryDirectory(t));
  t.like(await verifyStore(source), [{ code: 'ROWS_UNREADABLE', place: pack }]);
  await store.backup(source);
  t.deepEqual(await verifyStore(source), []);
  t.deepEqual(await packsOfBackup(source), [pack]);
  t.true((await readFile(place)).length > 0);
});

test('a backup writes nothing and removes nothing through a link', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const target = await newBackup(t, store);
  const elsewhere = await moveAway(join(target, 'blobs'), await temporaryDirectory(t));
  const own = join(elsewhere, 'sha256', 'ab'.repeat(32));
  await writeFile(own, 'of somebody else');
  const error = await rejection(t, 'FILE_EXISTS', store.backup(target));
  t.regex(error.message, /blobs in it is a link/);
  t.is(await readFile(own, 'utf8'), 'of somebody else');
});
