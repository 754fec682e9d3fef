import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { BlobStore, type KeptBlob, type StagedBlob } from '../../src/store/layers/blob-store.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const BYTES = Uint8Array.of(1, 2, 3);
const DIGEST = digestOf(BYTES);

async function blobStore(t: ExecutionContext): Promise<BlobStore> {
  const blobs = new BlobStore(join(await temporaryDirectory(t), 'blobs'));
  await blobs.makeDirectories();
  return blobs;
}

async function written(blobs: BlobStore, bytes: Uint8Array = BYTES): Promise<StagedBlob> {
  const file = await blobs.create();
  await file.write(bytes);
  return file;
}

test('a staged layer begins to be synced when it is written, and what that met is not forgotten', async (t) => {
  const blobs = await blobStore(t);
  const file = await written(blobs);
  await rm(file.path);
  await file.finish(DIGEST);
  // The same call as the one that is in progress: it found no file.
  await t.throwsAsync(file.sync(), { code: 'ENOENT' });
  await writeFile(file.path, BYTES);
  await rejection(t, 'IO_FAILED', blobs.keep([{ file, digest: DIGEST }]));
  t.is(blobs.size(DIGEST), undefined);
});

test('a staged layer that the store has already is not synced', async (t) => {
  const blobs = await blobStore(t);
  const first = await written(blobs);
  await first.finish(DIGEST);
  await blobs.keep([{ file: first, digest: DIGEST }]);
  const second = await written(blobs);
  await rm(second.path);
  await second.finish(DIGEST);
  await writeFile(second.path, BYTES);
  await t.notThrowsAsync(second.sync());
});

test('many staged layers are synced, kept and discarded in any order', async (t) => {
  const blobs = await blobStore(t);
  const kept: KeptBlob[] = [];
  for (let index = 0; index < 40; index++) {
    const bytes = Uint8Array.of(index);
    const file = await written(blobs, bytes);
    await file.finish(digestOf(bytes));
    if (index % 3 === 0) await file.discard();
    else kept.push({ file, digest: digestOf(bytes) });
  }
  await blobs.keep(kept);
  for (const { digest } of kept) t.is(blobs.size(digest), 1);
  t.is(await blobs.sweep(() => true), 0);
});
