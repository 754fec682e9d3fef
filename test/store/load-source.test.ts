import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { archiveFileSource } from '../../src/store/archives/load-archive.js';
import { rejection } from '../support/rejection.js';
import { requiresPermissions } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { collect } from '../support/build-tar.js';
import { numberedBytes } from '../support/numbered-bytes.js';
import { temporaryStore } from './temporary-store.js';

/** Chunks are lent, each until the next is pulled. */
async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield new Uint8Array(chunk);
}

test('options are checked before the file is opened', async (t) => {
  const store = await temporaryStore(t);
  const path = join(store.directory, 'nothing.tar');
  await rejection(t, 'PLATFORM_INVALID', store.load(path, { platform: 'a/b/c/d/e' }));
  await rejection(t, 'REFERENCE_INVALID', store.load(path, { tag: 'No:Name' }));
  await rejection(t, 'ABORTED', store.load(path, { signal: AbortSignal.abort() }));
  await rejection(t, 'FILE_NOT_FOUND', store.load(path));
});

test('a file gives its bytes and its size', async (t) => {
  const path = join(await temporaryDirectory(t), 'archive.tar');
  const written = numberedBytes(3_000_000);
  await writeFile(path, written);
  const { bytes, total } = await archiveFileSource(path);
  t.is(total, written.length);
  t.true(written.equals(await collect(copies(bytes))));
});

test('a directory is read as a tar of its files, which may not change meanwhile', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'a'), 'body');
  const { bytes, total } = await archiveFileSource(directory);
  t.is((await collect(bytes)).length, total);
  const again = await archiveFileSource(directory);
  await writeFile(join(directory, 'a'), 'longer body');
  await rejection(t, 'ARCHIVE_TRUNCATED', collect(again.bytes));
});

test('a file that goes before it is read is not found', async (t) => {
  const path = join(await temporaryDirectory(t), 'archive.tar');
  await writeFile(path, 'x');
  const { bytes } = await archiveFileSource(path);
  // An unread source holds nothing open, so what is there now counts.
  await rm(path);
  await rejection(t, 'FILE_NOT_FOUND', collect(bytes));
});

test('an error while the file is read is told by name', async (t) => {
  const path = join(await temporaryDirectory(t), 'archive.tar');
  await writeFile(path, 'x');
  const { bytes } = await archiveFileSource(path);
  await rm(path);
  await mkdir(path);
  await rejection(t, 'IO_FAILED', collect(bytes));
});

requiresPermissions()('a file that may not be read says nothing about the store', async (t) => {
  const store = await temporaryStore(t);
  const path = join(await temporaryDirectory(t), 'archive.tar');
  await writeFile(path, 'x');
  await chmod(path, 0);
  await rejection(t, 'IO_FAILED', store.load(path));
});
