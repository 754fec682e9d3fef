import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { temporaryStore } from '../temporary-store.js';

test('of two runs that write to one directory at once, the second is refused, and the backup is whole', async (t) => {
  const store = await temporaryStore(t);
  for (let at = 0; at < 20; at++) await store.create(imageConfig(`${at}`));
  const reader = await openStore(store.directory, { readOnly: true });
  t.teardown(() => reader.close());
  const target = join(await temporaryDirectory(t), 'backup');
  let second: Promise<unknown> | undefined;
  await store.backup(target, {
    onProgress: () => {
      second ??= rejection(t, 'STORE_LOCKED', reader.backup(target)).then(({ message }) =>
        t.regex(message, /cannot back up to .*backup: this process \(pid \d+\) is writing there/),
      );
    },
  });
  await second;
  t.truthy(second);
  t.deepEqual(await verifyStore(target), []);
  await reader.backup(target);
  t.false((await readdir(target)).includes('.staging'));
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
