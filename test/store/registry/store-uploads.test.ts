import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { digestOf } from '../../../src/model/digest.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { formatUploadRecord } from '../../../src/store/registry/upload-folder.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesWith, newSecret } from '../../support/files-with.js';
import { imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytesOf } from '../../support/text-bytes.js';
import { reopened, temporaryStore } from '../temporary-store.js';
import { chunksOf, REPOSITORY, uploaded, uploadWorld } from './upload-world.js';

test('a store that takes no upload has no folder for them', async (t) => {
  const store = await reopened(t, await temporaryStore(t));
  t.false((await readdir(store.directory)).includes('uploads'));
});

test('erased bytes leave the uploads of the store with its files', async (t) => {
  const store = await temporaryStore(t);
  const secret = newSecret();
  const config = imageConfig(secret);
  const id = await store.create(config);
  await store.create(imageConfig('kept'));
  await store.delete(id);
  await store.close();
  const world = await uploadWorld(t, store.directory);
  const uploads = await world.open();
  await uploaded(uploads, config, { digest: id });
  await uploads.end();
  const again = await reopened(t, store);
  await again.erase(id, 'leaked');
  t.deepEqual(await filesWith(store.directory, secret), []);
});

test('uploads are no part of what is verified and backed up', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('one'));
  await store.close();
  const uploads = await (await uploadWorld(t, store.directory)).open();
  const bytes = bytesOf('a blob');
  await uploaded(uploads, bytes, { digest: digestOf(bytes) });
  await (await uploads.start(REPOSITORY, 'ada')).append(chunksOf([bytes]));
  await uploads.end();
  t.deepEqual(await verifyStore(store.directory), []);
  const backup = join(await temporaryDirectory(t), 'backup');
  const again = await reopened(t, store);
  await again.backup(backup);
  t.deepEqual(await again.verify(), []);
  const restored = join(await temporaryDirectory(t), 'restored');
  await restoreStore(restored, backup);
  for (const directory of [backup, restored]) t.false((await readdir(directory)).includes('uploads'));
});

test('a store that lost its sidecar beside an empty log is made again, with its uploads', async (t) => {
  const store = await temporaryStore(t);
  await store.close();
  const uploads = await (await uploadWorld(t, store.directory)).open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  await upload.append(chunksOf([bytesOf('begun')]));
  await uploads.end();
  await rm(join(store.directory, 'imagelog.json'));
  await reopened(t, store);
  t.true((await readdir(join(store.directory, 'uploads/incoming'))).includes(`${upload.id}.json`));
});

test('a store with ten thousand abandoned uploads opens in seconds', async (t) => {
  const store = await temporaryStore(t);
  await store.close();
  const folder = join(store.directory, 'uploads/incoming');
  await mkdir(folder, { recursive: true });
  const record = formatUploadRecord({ repository: REPOSITORY, owner: 'ada', started: Date.now() });
  for (let count = 0; count < 10_000; count += 100) {
    const ids = Array.from({ length: 100 }, (_, index) => join(folder, `${count + index}`));
    await Promise.all(ids.flatMap((path) => [writeFile(path, 'x'), writeFile(`${path}.json`, record)]));
  }
  const began = performance.now();
  await using again = await openStore(store.directory);
  const took = performance.now() - began;
  t.log(`${Math.round(took)} ms`);
  t.true(took < 5_000);
  t.is(again.log.head.seq, 0);
  t.is((await readdir(folder)).length, 20_000);
});

test('an upload without a repository or an owner is refused', async (t) => {
  const { uploads } = (await temporaryStore(t)).registry;
  const digest = digestOf(bytesOf('a blob'));
  await t.throwsAsync(uploads.start(REPOSITORY, ''), { instanceOf: TypeError, message: /owner/ });
  await t.throwsAsync(uploads.start('', 'ada'), { instanceOf: TypeError, message: /repository/ });
  await t.throwsAsync(uploads.mount(REPOSITORY, digest, ''), { instanceOf: TypeError, message: /owner/ });
  t.is(uploads.used.uploads, 0);
});
