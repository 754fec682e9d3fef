import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { temporaryStore } from '../temporary-store.js';

test('while a run writes to a directory another is refused, and the backup is whole', async (t) => {
  const store = await temporaryStore(t);
  for (let at = 0; at < 20; at++) await store.create(imageConfig(`${at}`));
  const reader = await openStore(store.directory, { readOnly: true });
  t.teardown(() => reader.close());
  const target = join(await temporaryDirectory(t), 'backup');
  const staging = join(target, '.staging');
  let owner = '';
  await store.backup(target, {
    onProgress: () => {
      owner = readFileSync(join(staging, 'owner.json'), 'utf8');
    },
  });
  // A run that has not ended: how long one takes is up to the machine.
  await mkdir(staging);
  await writeFile(join(staging, 'owner.json'), owner);
  const { message } = await rejection(t, 'STORE_LOCKED', reader.backup(target));
  t.regex(message, /cannot back up to .*backup: this process \(pid \d+\) is writing there/);
  t.deepEqual(await verifyStore(target), []);
  await rm(staging, { recursive: true });
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
