import fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { failing, withCalls } from '../../support/replaced-calls.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { openTestStore } from '../../support/test-store.js';
import { archivePath } from '../fixture-archives.js';
import { newBackup } from './restored-store.js';

/** Has no file below `place` opened for lack of descriptors. */
const exhausted = (code: string, place: string): { readonly promises: object } => ({
  promises: { open: failing(fs.promises.open, code, (path) => path.startsWith(place)) },
});

for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
  for (const place of ['blobs/sha256/', 'content/packs/', 'tile/0/', 'tile/entries/', 'checkpoint']) {
    test(`a process that has ${code} finds no damage in a backup: ${place}`, async (t) => {
      const store = await openTestStore(t);
      await store.load(archivePath('docker25-all.tar'));
      const source = await newBackup(t, store);
      const target = join(await temporaryDirectory(t), 'restored');
      await withCalls(exhausted(code, join(source, place)), async () => {
        for (const refused of [verifyStore(source), restoreStore(target, source)]) {
          const error = await rejection(t, 'IO_FAILED', refused);
          t.regex(error.message, new RegExp(code));
        }
      });
      t.deepEqual(await verifyStore(source), []);
      await t.throwsAsync(fs.promises.stat(target), { code: 'ENOENT' });
    });
  }
}

test('nor in the layer files of a store', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await withCalls(exhausted('EMFILE', join(store.directory, 'blobs/sha256')), async () => {
    await rejection(t, 'IO_FAILED', store.verify());
  });
  t.deepEqual(await store.verify(), []);
});

test('a file that may not be read is still a violation', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const source = await newBackup(t, store);
  await withCalls(exhausted('EIO', join(source, 'tile/entries')), async () => {
    t.true((await verifyStore(source)).some(({ code }) => code === 'ROWS_UNREADABLE'));
  });
});
