import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { type ErrorCode, StoreError } from '../../src/errors.js';
import { createDurableFile, ioFailure, writeDurableFile } from '../../src/store/files/files.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytesOf } from '../support/text-bytes.js';

test('a file is replaced whole, and nothing else is left beside it', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'n'.repeat(255));
  await writeDurableFile(path, bytesOf('a long first text'));
  await writeDurableFile(path, bytesOf('short'));
  t.is(await readFile(path, 'utf8'), 'short');
  t.deepEqual(await readdir(directory), ['n'.repeat(255)]);
});

test('a file that cannot be written leaves nothing behind, and the error names it', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'taken');
  await mkdir(path);
  const error = await rejection(t, 'IO_FAILED', writeDurableFile(path, bytesOf('text')));
  t.true(error.message.startsWith(`cannot write ${path}: `));
  t.deepEqual(await readdir(directory), ['taken']);
});

test('a new file is made by one, is never written over, and nothing else is left beside it', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'new');
  const made = await Promise.all(
    ['a', 'b', 'c'].map(async (text) => [text, await createDurableFile(path, bytesOf(text))]),
  );
  const winners = made.filter(([, isMade]) => isMade).map(([text]) => text);
  t.deepEqual([await readFile(path, 'utf8')], winners);
  t.false(await createDurableFile(path, bytesOf('later')));
  t.deepEqual(await readdir(directory), ['new']);
  await rejection(t, 'IO_FAILED', createDurableFile(join(directory, 'none', 'new'), bytesOf('x')));
});

const isTold = test.macro({
  exec(t, systemCode: string, code: ErrorCode) {
    const cause = Object.assign(new Error('it failed'), { code: systemCode });
    const error = ioFailure('write the file', cause);
    t.is(error.code, code);
    t.is(error.cause, cause);
    t.deepEqual(error.data, { systemCode });
    t.regex(error.message, /^cannot write the file: /);
  },
  title: (_, systemCode, code) => `a file operation that fails with ${systemCode} is told as ${code}`,
});

test(isTold, 'ENOSPC', 'DISK_FULL');
test(isTold, 'EDQUOT', 'DISK_FULL');
test(isTold, 'EFBIG', 'DISK_FULL');
test(isTold, 'EACCES', 'STORE_NOT_WRITABLE');
test(isTold, 'EPERM', 'STORE_NOT_WRITABLE');
test(isTold, 'EROFS', 'STORE_NOT_WRITABLE');
test(isTold, 'EIO', 'IO_FAILED');

test('a store error is told as it is', (t) => {
  const error = new StoreError('BLOB_MISSING', 'gone');
  t.is(ioFailure('read', error), error);
});
