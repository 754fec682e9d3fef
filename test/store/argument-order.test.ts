import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { createKeyFile, restoreStore } from '../../src/store/on-demand.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';

/* Members that take two arguments of one type in their natural order refuse the reversed one by name. */

test('diff refuses a range that goes back', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const { message } = await rejection(t, 'TIME_OUT_OF_RANGE', store.diff(1, 0));
  t.is(message, 'a difference goes forward in time: its end, event 0, is before its beginning, event 1');
});

test('proofs refuse a smaller log that is the larger one', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  const reversed = { instanceOf: RangeError, message: 'from must be at most to: 2 is more than 1' };
  await t.throwsAsync(store.proveConsistency(2, 1), reversed);
  const late = { instanceOf: RangeError, message: 'size must be at least the seq of the event: 1 is less than 2' };
  await t.throwsAsync(store.proveInclusion(2, 1), late);
});

test('restoreStore refuses a backup as the new store, and says that the two are reversed', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const folder = await temporaryDirectory(t);
  const [backup, fresh] = [join(folder, 'backup'), join(folder, 'fresh')];
  await store.backup(backup);
  for (const target of [fresh, store.directory]) {
    const { message } = await rejection(t, 'FILE_EXISTS', restoreStore(backup, target));
    t.is(message, `cannot restore to ${backup}: it is a backup, and ${target} is not: are the two reversed?`);
  }
  t.false(existsSync(fresh));
  const { message } = await rejection(t, 'FILE_EXISTS', restoreStore(backup, backup));
  t.is(message, `cannot restore to ${backup}: it is inside the backup`);
});

test('erase refuses a digest in place of the reason', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const { message } = await rejection(t, 'DIGEST_INVALID', store.erase('has a password', idNamed('a')));
  t.regex(message, /is a digest, and the digest is not: the digest comes first, then the reason$/);
});

test('createKeyFile refuses a path in place of the name', async (t) => {
  const path = join(await temporaryDirectory(t), 'log.key');
  for (const origin of [path, './log.key', '../log.key', '~/log.key', 'C:\\log.key']) {
    const { message } = await rejection(t, 'ORIGIN_INVALID', createKeyFile('example.com/images', origin));
    t.regex(message, /it is a path, which comes first, then the name$/);
  }
  t.regex(await createKeyFile(path, 'example.com/images'), /^example\.com\/images\+/);
});
