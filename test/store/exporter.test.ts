import { PassThrough, Readable, Writable } from 'node:stream';
import test from 'ava';
import { createExporter } from '../../src/store/archives/save-archive.js';
import { rejection } from '../support/rejection.js';
import { collect } from '../support/build-tar.js';
import { archiveBytes, archivePath, expectedArchives } from './fixture-archives.js';
import { temporaryStore } from './temporary-store.js';

/** Runs `act` with a stream and returns what was written to it, and whether it was ended. */
async function written(act: (output: Writable) => Promise<void>): Promise<{ text: string; ended: boolean }> {
  const output = new PassThrough();
  const chunks: Buffer[] = [];
  output.on('data', (chunk: Buffer) => chunks.push(chunk));
  await act(output);
  return { text: Buffer.concat(chunks).toString(), ended: output.writableEnded };
}

test('load says each name as docker load does, and leaves the stream open', async (t) => {
  const store = await temporaryStore(t);
  const { load } = createExporter(store);
  const { text, ended } = await written((output) =>
    load(Readable.from([archiveBytes('crane-app.tar')]), output, false),
  );
  t.is(text, 'Loaded image: shop/app:1.0\nLoaded image: shop/app:2.0\n');
  t.false(ended);
  t.is(store.len(), 2);
});

test('load says the id of an image without a name', async (t) => {
  const store = await temporaryStore(t);
  const input = Readable.from([archiveBytes('docker25-untagged.tar')]);
  const { text } = await written((output) => createExporter(store).load(input, output, false));
  t.is(text, `Loaded image ID: ${expectedArchives['docker25-untagged.tar']?.[0]?.id}\n`);
});

test('a quiet load writes nothing', async (t) => {
  const store = await temporaryStore(t);
  const input = Readable.from([archiveBytes('docker25-all.tar')]);
  t.is((await written((output) => createExporter(store).load(input, output, true))).text, '');
  t.is(store.len(), 5);
});

test('save writes what the store saves, and ends the stream', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const output = new PassThrough();
  const [bytes] = await Promise.all([collect(output), createExporter(store).save(['tiny:1', 'twice:1'], output)]);
  t.true(bytes.equals(await collect(store.save(['twice:1', 'tiny:1']))));
});

test('what cannot be loaded or saved is refused with the error of the store', async (t) => {
  const store = await temporaryStore(t);
  const { load, save } = createExporter(store);
  await rejection(t, 'ARCHIVE_INVALID', load(Readable.from([Buffer.from('hello')]), new PassThrough(), false));
  await rejection(t, 'IMAGE_NOT_FOUND', save(['nothing:1'], new PassThrough()));
});

test('an output that fails ends the save with its error, and holds no blob back', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const failure = new Error('the pipe is broken');
  const output = new Writable({ write: (_chunk, _encoding, done) => done(failure) });
  t.is(await t.throwsAsync(createExporter(store).save(['tiny:1'], output)), failure);
  for (const id of store.map().keys()) await store.delete(id);
  t.is(store.stats().blobs, 0);
});
