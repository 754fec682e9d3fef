import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { EventStore } from '../../src/store/event-store.js';
import type { SaveOptions } from '../../src/store/store.js';
import { filesBelow } from '../support/filesystem-copy.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { collect } from '../support/build-tar.js';
import { archivePath } from './fixture-archives.js';
import { temporaryStore } from './temporary-store.js';

const NAMES = ['tiny:1', 'shop/app', 'twice:1'];

async function loadedStore(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  return store;
}

/** Saves to the file `path`, after what it holds already. */
async function append(store: EventStore, path: string, options?: SaveOptions): Promise<number> {
  const file = await open(path, 'a');
  try {
    return await store.saveTo(file, NAMES, options);
  } finally {
    await file.close();
  }
}

test('a file gets the bytes of the stream, from its position on', async (t) => {
  const store = await loadedStore(t);
  const path = join(await temporaryDirectory(t), 'saved.tar');
  for (const format of ['docker', 'oci'] as const) {
    await writeFile(path, 'before');
    const told: number[] = [];
    const bytes = await append(store, path, { format, onProgress: (done) => void told.push(done) });
    const expected = await collect(store.save(NAMES, { format }));
    t.is(bytes, expected.length);
    t.is(told.at(-1), bytes);
    t.true(Buffer.concat([Buffer.from('before'), expected]).equals(await readFile(path)));
  }
});

test('a save to a file that fails says so as the stream does', async (t) => {
  const store = await loadedStore(t);
  const path = join(await temporaryDirectory(t), 'saved.tar');
  const controller = new AbortController();
  const { signal } = controller;
  await rejection(t, 'ABORTED', append(store, path, { signal, onProgress: () => controller.abort() }));
  await rejection(t, 'ABORTED', append(store, path, { signal }));
  await t.throwsAsync(append(store, path, { format: 'zip' as never }), { instanceOf: RangeError });
  const file = await open(path, 'r');
  await rejection(t, 'IMAGE_NOT_FOUND', store.saveTo(file, 'nope'));
  await t.throwsAsync(store.saveTo(file, NAMES), { code: 'EBADF' });
  await file.close();
});

test('a save to a file holds back a deletion only until it ends', async (t) => {
  const store = await loadedStore(t);
  const path = join(await temporaryDirectory(t), 'saved.tar');
  const expected = await collect(store.save(NAMES));
  const saving = append(store, path);
  for (const id of store.map().keys()) await store.delete(id);
  t.is(await saving, expected.length);
  t.true(expected.equals(await readFile(path)));
  await store.close();
  t.is((await filesBelow(join(store.directory, 'blobs'))).size, 0);
});

test('a layer file that was cut short is told', async (t) => {
  const store = await loadedStore(t);
  const blobs = join(store.directory, 'blobs', 'sha256');
  const [[name, whole] = ['', new Uint8Array()]] = await filesBelow(blobs);
  const path = join(blobs, name);
  await truncate(path, whole.length - 1);
  const error = await rejection(t, 'BLOB_CORRUPT', append(store, join(await temporaryDirectory(t), 'saved.tar')));
  t.regex(error.message, /expected \d+ bytes, found \d+$/);
  await writeFile(path, whole);
});
