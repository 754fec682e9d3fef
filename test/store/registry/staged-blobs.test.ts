import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { type Digest, digestHex, digestOf } from '../../../src/model/digest.js';
import { rejection } from '../../support/rejection.js';
import { withCalls } from '../../support/replaced-calls.js';
import { bytesOf, chunksOf, HOUR, OTHER, REPOSITORY, uploaded, type UploadWorld, uploadWorld } from './upload-world.js';

const BYTES = new TextEncoder().encode('some blob');
const DIGEST = digestOf(BYTES);
const ONE_BLOB = [`staged/${digestHex(DIGEST)}`, `staged/${digestHex(DIGEST)}.json`];

/** Puts a blob into the store that needs it. */
async function keep({ blobs, needed }: UploadWorld, bytes: Uint8Array): Promise<void> {
  await blobs.keep([{ file: blobs.hold(bytes), digest: digestOf(bytes) }]);
  needed.set(digestOf(bytes), bytes.length);
}

const blobFile = ({ directory }: UploadWorld, digest: Digest): string =>
  join(directory, 'blobs/sha256', digestHex(digest));

test('a blob is staged in the repository that it was uploaded to, and in no other', async (t) => {
  const uploads = await (await uploadWorld(t)).open();
  await uploaded(uploads, BYTES, { digest: DIGEST });
  t.is(uploads.staged(OTHER, DIGEST), undefined);
  t.is(uploads.staged(REPOSITORY, DIGEST)?.size, BYTES.length);
});

test('uploads of one digest to several repositories at once are one file', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const repositories = Array.from({ length: 8 }, (_, index) => `docker.io/shop/app${index}`);
  await Promise.all(repositories.map((repository) => uploaded(uploads, BYTES, { digest: DIGEST, repository })));
  await Promise.all(repositories.map(() => uploaded(uploads, BYTES, { digest: DIGEST })));
  t.deepEqual(world.files(), ONE_BLOB);
  const again = await world.open();
  for (const repository of [...repositories, REPOSITORY]) {
    const staged = again.staged(repository, DIGEST);
    t.deepEqual(staged && (await bytesOf(staged)), BYTES);
  }
});

test('a blob of the store is mounted, and stays when the store removes it', async (t) => {
  const world = await uploadWorld(t);
  await keep(world, BYTES);
  await (await world.open()).mount(REPOSITORY, DIGEST, 'ada');
  world.needed.clear();
  await world.blobs.removeUnneeded([DIGEST], () => false);
  t.is(world.blobs.size(DIGEST), undefined);
  const staged = (await world.open()).staged(REPOSITORY, DIGEST);
  t.is(staged?.measurement, undefined);
  t.deepEqual(staged && (await bytesOf(staged)), BYTES);
});

test('a config of the store is mounted', async (t) => {
  const world = await uploadWorld(t);
  world.content.set(DIGEST, BYTES);
  const uploads = await world.open();
  await uploads.mount(REPOSITORY, DIGEST, 'ada');
  const staged = uploads.staged(REPOSITORY, DIGEST);
  t.deepEqual(staged && (await bytesOf(staged)), BYTES);
});

test('a blob that is staged for another repository is mounted with what was measured', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const { measurement } = await uploaded(uploads, BYTES, { digest: DIGEST });
  await uploads.mount(OTHER, DIGEST, 'bob');
  t.true(await uploads.remove(REPOSITORY, DIGEST));
  t.is(uploads.staged(REPOSITORY, DIGEST), undefined);
  const staged = (await world.open()).staged(OTHER, DIGEST);
  t.deepEqual(staged?.measurement?.blob, measurement?.blob);
  t.deepEqual(staged && (await bytesOf(staged)), BYTES);
});

test('what the store does not have is not mounted', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  await rejection(t, 'CONTENT_NOT_FOUND', uploads.mount(REPOSITORY, DIGEST, 'ada'));
  // Nor what is damaged.
  await keep(world, BYTES);
  await writeFile(blobFile(world, DIGEST), 'cut');
  await rejection(t, 'CONTENT_NOT_FOUND', uploads.mount(REPOSITORY, DIGEST, 'ada'));
  t.deepEqual(world.files(), []);
  t.is(uploads.staged(REPOSITORY, DIGEST), undefined);
});

test('an upload replaces the file of a mounted blob, which may be damaged', async (t) => {
  const world = await uploadWorld(t);
  await keep(world, BYTES);
  const uploads = await world.open();
  await uploads.mount(OTHER, DIGEST, 'bob');
  await writeFile(blobFile(world, DIGEST), 'SOME BLOB');
  const staged = await uploaded(uploads, BYTES, { digest: DIGEST });
  t.deepEqual(await bytesOf(staged), BYTES);
  t.deepEqual(world.files(), ONE_BLOB);
  t.not(uploads.staged(OTHER, DIGEST), undefined);
});

test('a load keeps a staged blob, and a failed load leaves it for the retry', async (t) => {
  const world = await uploadWorld(t);
  const { blobs } = world;
  const uploads = await world.open();
  const { file } = await uploaded(uploads, BYTES, { digest: DIGEST });
  await blobs.keep([{ file, digest: DIGEST, isNew: true }]);
  t.deepEqual(new Uint8Array(await readFile(blobFile(world, DIGEST))), BYTES);
  await file.discard();
  await blobs.removeUnneeded([DIGEST], () => false);
  // A crash after the blob was kept, before the event: the next open sweeps.
  const staged = (await world.open()).staged(REPOSITORY, DIGEST);
  t.deepEqual(staged && (await bytesOf(staged)), BYTES);
  if (staged === undefined) return;
  // Two pushes of the same blob.
  const kept = [staged.file, file].map((each) => blobs.keep([{ file: each, digest: DIGEST, isNew: true }]));
  await Promise.all(kept);
  t.deepEqual(new Uint8Array(await readFile(blobFile(world, DIGEST))), BYTES);
  t.is(await blobs.sweep(() => true), 0);
});

test('a staged blob replaces a damaged one of the store', async (t) => {
  const world = await uploadWorld(t);
  await keep(world, BYTES);
  await writeFile(blobFile(world, DIGEST), 'cut');
  const { file } = await uploaded(await world.open(), BYTES, { digest: DIGEST });
  await world.blobs.keep([{ file, digest: DIGEST }]);
  t.deepEqual(new Uint8Array(await readFile(blobFile(world, DIGEST))), BYTES);
});

test('what a manifest names is settled, for its repository', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  for (const repository of [REPOSITORY, OTHER]) await uploaded(uploads, BYTES, { digest: DIGEST, repository });
  await uploads.settle(REPOSITORY, [DIGEST, digestOf(new Uint8Array(1))]);
  t.is(uploads.staged(REPOSITORY, DIGEST), undefined);
  t.not(uploads.staged(OTHER, DIGEST), undefined);
  await uploads.settle(OTHER, [DIGEST]);
  t.deepEqual(world.files(), []);
});

test('a removal says whether there was something to remove', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  await uploaded(uploads, BYTES, { digest: DIGEST });
  t.false(await uploads.remove(OTHER, DIGEST));
  t.true(await uploads.remove(REPOSITORY, DIGEST));
  t.false(await uploads.remove(REPOSITORY, DIGEST));
  t.deepEqual(world.files(), []);
});

test('a staged blob expires a day after its last use in the repository, across restarts', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  for (const repository of [REPOSITORY, OTHER]) await uploaded(uploads, BYTES, { digest: DIGEST, repository });
  world.time += 23 * HOUR;
  t.not(uploads.staged(OTHER, DIGEST), undefined);
  await uploads.end();
  world.time += HOUR;
  const again = await world.open();
  t.is(again.staged(REPOSITORY, DIGEST), undefined);
  world.time += 23 * HOUR - 1;
  await again.sweep();
  t.deepEqual(world.files(), ONE_BLOB);
  world.time += 1;
  await again.sweep();
  t.deepEqual(world.files(), []);
  t.is(again.staged(OTHER, DIGEST), undefined);
});

test('erased bytes leave the uploads: at once, and after a crash when they are opened', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  await uploaded(uploads, BYTES, { digest: DIGEST });
  await uploads.forget([DIGEST]);
  t.deepEqual(world.files(), []);
  await uploaded(uploads, BYTES, { digest: DIGEST });
  world.erased.set(DIGEST, world.time - 1);
  t.not((await world.open()).staged(REPOSITORY, DIGEST), undefined);
  world.erased.set(DIGEST, world.time);
  t.is((await world.open()).staged(REPOSITORY, DIGEST), undefined);
  t.deepEqual(world.files(), []);
});

for (const [what, damage] of [
  ['its record is cut', (file: string) => writeFile(`${file}.json`, '{"size":9,')],
  ['its record lacks a repository', (file: string) => writeFile(`${file}.json`, '{"size":9,"isUploaded":true}')],
  [
    'its record is of another version',
    (file: string) => replaced(`${file}.json`, '"compression":"none"', '"compression":"new"'),
  ],
  ['its bytes are cut', (file: string) => writeFile(file, 'cut')],
] as const) {
  test(`a staged blob is removed with a notice when ${what}`, async (t) => {
    const world = await uploadWorld(t);
    await uploaded(await world.open(), BYTES, { digest: DIGEST });
    await damage(join(world.directory, 'uploads', `staged/${digestHex(DIGEST)}`));
    t.is((await world.open()).staged(REPOSITORY, DIGEST), undefined);
    t.deepEqual(world.files(), []);
    t.is(world.notices.length, 1);
    t.regex(world.notices[0] ?? '', /^removed 1 uploads of the store /);
  });
}

async function replaced(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(from, to));
}

test('a staged blob whose file is gone is dropped', async (t) => {
  const world = await uploadWorld(t);
  await uploaded(await world.open(), BYTES, { digest: DIGEST });
  await rm(join(world.directory, 'uploads', `staged/${digestHex(DIGEST)}`));
  t.is((await world.open()).staged(REPOSITORY, DIGEST), undefined);
  t.deepEqual(world.files(), []);
});

test('an upload that is finished while another removes the blob is staged', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  for (let round = 0; round < 20; round++) {
    const upload = await uploads.start(REPOSITORY, 'ada');
    await upload.append(chunksOf([BYTES]));
    const [staged] = await Promise.all([upload.finish(DIGEST), uploads.settle(OTHER, [DIGEST])]);
    t.deepEqual(await bytesOf(staged), BYTES);
    await Promise.all([uploads.mount(OTHER, DIGEST, 'bob'), uploads.settle(REPOSITORY, [DIGEST])]).catch(
      () => undefined,
    );
  }
  await uploads.settle(REPOSITORY, [DIGEST]);
  await uploads.settle(OTHER, [DIGEST]);
  t.deepEqual(world.files(), []);
});

test('where a file can have no second name, a blob is copied', async (t) => {
  const world = await uploadWorld(t);
  await keep(world, BYTES);
  const uploads = await world.open();
  const link = async (): Promise<never> => {
    throw Object.assign(new Error('EXDEV: cross-device link not permitted'), { code: 'EXDEV' });
  };
  await withCalls({ promises: { link } }, async () => {
    await uploads.mount(REPOSITORY, DIGEST, 'ada');
    await rm(blobFile(world, DIGEST));
    const staged = uploads.staged(REPOSITORY, DIGEST);
    if (staged !== undefined) await world.blobs.keep([{ file: staged.file, digest: DIGEST, isNew: true }]);
  });
  t.deepEqual(new Uint8Array(await readFile(blobFile(world, DIGEST))), BYTES);
  await uploads.settle(REPOSITORY, [DIGEST]);
  t.deepEqual(await readdir(join(world.directory, 'blobs/staging')), []);
});
