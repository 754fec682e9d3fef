import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { isStoreError } from '../../../src/errors.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { temporaryStore } from '../temporary-store.js';

test('of two runs that write to one directory at once, the second is refused, and the backup is whole', async (t) => {
  const store = await temporaryStore(t);
  for (let at = 0; at < 20; at++) await store.create(imageConfig(`${at}`));
  const reader = await openStore(store.directory, { readOnly: true });
  t.teardown(() => reader.close());
  const directory = await temporaryDirectory(t);
  // The first may end before the second looks.
  let refused = 0;
  for (let round = 0; round < 20 && refused === 0; round += 1) {
    const target = join(directory, `${round}`);
    let second: Promise<unknown> | undefined;
    const onProgress = (): void => {
      second ??= reader.backup(target).catch((error: unknown) => {
        if (!isStoreError(error, 'STORE_LOCKED')) throw error;
        t.regex(error.message, /cannot back up to .*: this process \(pid \d+\) is writing there/);
        refused += 1;
      });
    };
    await store.backup(target, { onProgress });
    await second;
    t.truthy(second);
    t.deepEqual(await verifyStore(target), []);
    await reader.backup(target);
    t.false((await readdir(target)).includes('.staging'));
  }
  t.is(refused, 1);
});

test('a run that was killed keeps nobody out', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  const target = join(await temporaryDirectory(t), 'backup');
  await store.backup(target);
  await mkdir(join(target, '.staging'));
  for (const owner of ['', JSON.stringify({ pid: 2 ** 22 + 1, host: 'here', process: 'gone' })]) {
    await mkdir(join(target, '.staging'), { recursive: true });
    await writeFile(join(target, '.staging', 'owner.json'), owner);
    await store.backup(target);
    t.false((await readdir(target)).includes('.staging'));
  }
});
