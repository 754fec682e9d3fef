import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  MAX_ACTOR_BYTES,
  MAX_IDLE_METERS,
  MAX_REFERENCE_NAME_LENGTH,
  MAX_REPOSITORIES_PER_STAGED_BLOB,
  MAX_STAGED_BLOBS,
  MAX_STAGED_BLOBS_PER_OWNER,
  MAX_UPLOAD_BYTES,
  MAX_UPLOAD_RECORD_BYTES,
  MAX_UPLOADED_BYTES,
  MAX_UPLOADED_BYTES_PER_OWNER,
  MAX_UPLOADS,
  MAX_UPLOADS_PER_OWNER,
  UPLOAD_EXPIRY_MS,
  UPLOAD_IDLE_MS,
} from '../../../src/limits.js';
import { digestHex, digestOf } from '../../../src/model/digest.js';
import { defaultUploadLimits, UploadQuota } from '../../../src/store/registry/upload-quota.js';
import type { UploadLimits } from '../../../src/store/store.js';
import { formatStagedRecord, parseStagedRecord } from '../../../src/store/registry/upload-folder.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { chunksOf, HOUR, OTHER, REPOSITORY, uploaded, uploadWorld } from './upload-world.js';

const BYTES = new TextEncoder().encode('ten bytes!');
const DIGEST = digestOf(BYTES);
const numbered = (index: number): Uint8Array => new TextEncoder().encode(`number ${String(index).padStart(3, '0')}`);

test('uploads in progress are limited for each owner and in all, across restarts', async (t) => {
  const world = await uploadWorld(t);
  const limits = { uploadsPerOwner: 2, uploads: 3 };
  const uploads = await world.open(limits);
  const [first, second] = [await uploads.start(REPOSITORY, 'ada'), await uploads.start(OTHER, 'ada')];
  const error = await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.start(REPOSITORY, 'ada'));
  t.deepEqual(error.data, { limit: 'uploadsPerOwner', most: 2, owner: 'ada' });
  const third = await uploads.start(REPOSITORY, 'bob');
  for (const upload of [first, second, third]) await upload.append(chunksOf([BYTES]));
  for (const area of [uploads, await world.open(limits)]) {
    const inAll = await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', area.start(REPOSITORY, 'eve'));
    t.deepEqual(inAll.data, { limit: 'uploads', most: 3, owner: 'eve' });
  }
  await first.cancel();
  await uploads.start(REPOSITORY, 'eve');
});

test('abandoned uploads give way to new ones at a limit, the oldest first, and never one in use', async (t) => {
  const world = await uploadWorld(t);
  const limits = { uploadsPerOwner: 3, uploads: 4 };
  let uploads = await world.open(limits);
  const begin = async (owner: string): Promise<string> => (await uploads.start(REPOSITORY, owner)).id;
  const isThere = async (id: string): Promise<boolean> =>
    uploads.upload(REPOSITORY, id).then(
      () => true,
      () => false,
    );
  const busy = await uploads.start(REPOSITORY, 'ada');
  let end: () => void = () => undefined;
  const appending = busy.append(endless(new Promise<void>((resolve) => (end = resolve))));
  const oldest = await begin('ada');
  world.time += 1;
  const second = await begin('ada');
  world.time += UPLOAD_IDLE_MS - 1;
  const third = await begin('ada');
  t.deepEqual([await isThere(oldest), await isThere(second)], [false, true], 'that was used now');
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.start(REPOSITORY, 'ada'));
  const other = await begin('bob');
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.start(REPOSITORY, 'eve'));
  world.time += UPLOAD_IDLE_MS;
  t.true(await isThere(third));
  await begin('bob');
  t.deepEqual([await isThere(second), await isThere(third), await isThere(other)], [false, true, true]);
  end();
  t.is(await appending, BYTES.length);
  // What an earlier process left gives way too.
  await uploads.end();
  uploads = await world.open(limits);
  world.time = Math.max(world.time, Date.now()) + UPLOAD_IDLE_MS;
  for (let each = 0; each < 3; each += 1) await begin('eve');
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.start(REPOSITORY, 'eve'));
  t.is(uploads.used.uploads, 4);
});

/** Bytes, and then none until `end`. */
async function* endless(end: Promise<void>): AsyncGenerator<Uint8Array> {
  yield BYTES;
  await end;
}

test('an upload that grows beyond a limit is removed, and its room is given back', async (t) => {
  for (const [limit, most] of [
    ['uploadBytes', 25],
    ['bytesPerOwner', 25],
    ['bytes', 25],
  ] as const) {
    const world = await uploadWorld(t);
    const uploads = await world.open({ [limit]: most });
    const upload = await uploads.start(REPOSITORY, 'ada');
    t.is(await upload.append(chunksOf([BYTES, BYTES])), 20);
    const error = await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', upload.append(chunksOf([BYTES])));
    t.deepEqual(error.data, { limit, most, owner: 'ada' });
    t.deepEqual(world.files(), []);
    await rejection(t, 'UPLOAD_NOT_FOUND', upload.append(chunksOf([BYTES])));
    t.is(await (await uploads.start(REPOSITORY, 'ada')).append(chunksOf([BYTES, BYTES])), 20);
  }
});

test('bytes of staged blobs count until they are settled, also after a restart', async (t) => {
  const world = await uploadWorld(t);
  const limits = { bytesPerOwner: 25 };
  const before = await world.open(limits);
  await uploaded(before, numbered(1), { digest: digestOf(numbered(1)) });
  await uploaded(before, numbered(2), { digest: digestOf(numbered(2)) });
  const uploads = await world.open(limits);
  const third = { digest: digestOf(numbered(3)) };
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploaded(uploads, numbered(3), third));
  await uploaded(uploads, numbered(3), { ...third, owner: 'bob' });
  await uploads.settle(REPOSITORY, [digestOf(numbered(1))]);
  await uploaded(uploads, numbered(4), { digest: digestOf(numbered(4)) });
  world.time += 24 * HOUR;
  await uploads.sweep();
  await uploaded(uploads, numbered(3), third);
  await uploaded(uploads, numbered(5), { digest: digestOf(numbered(5)) });
});

test('one file counts once, for the owner of the first repository that has it', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open({ bytesPerOwner: BYTES.length });
  await uploaded(uploads, BYTES, { digest: DIGEST, owner: 'ada' });
  await uploaded(uploads, BYTES, { digest: DIGEST, owner: 'bob', repository: OTHER });
  // Bob has room for another, until ada's repository leaves.
  const other = await uploads.start(OTHER, 'bob');
  await other.append(chunksOf([BYTES]));
  await other.cancel();
  await uploads.settle(REPOSITORY, [DIGEST]);
  const again = await uploads.start(OTHER, 'bob');
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', again.append(chunksOf([BYTES])));
  await (await uploads.start(REPOSITORY, 'ada')).append(chunksOf([BYTES]));
});

test('staged blobs are limited for each owner, in all, and by repositories of one', async (t) => {
  const rows: readonly (readonly [Partial<UploadLimits>, string])[] = [
    [{ blobsPerOwner: 1 }, 'blobsPerOwner'],
    [{ blobs: 1 }, 'blobs'],
    [{ repositoriesPerBlob: 1 }, 'repositoriesPerBlob'],
  ];
  for (const [limits, limit] of rows) {
    const world = await uploadWorld(t);
    const uploads = await world.open(limits);
    await uploaded(uploads, BYTES, { digest: DIGEST });
    await uploads.mount(REPOSITORY, DIGEST, 'ada');
    const error = await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.mount(OTHER, DIGEST, 'ada'));
    t.is(error.data['limit'], limit);
    const files = world.files();
    await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploaded(uploads, BYTES, { digest: DIGEST, repository: OTHER }));
    t.deepEqual(world.files(), files);
    await uploads.settle(REPOSITORY, [DIGEST]);
    await uploaded(uploads, BYTES, { digest: DIGEST, repository: OTHER });
  }
});

test('a limit that is unknown is refused', async (t) => {
  const world = await uploadWorld(t);
  const limits = { upload: 1 } as unknown as Partial<UploadLimits>;
  await t.throwsAsync(world.open(limits), { instanceOf: TypeError, message: /unknown option upload/ });
});

test('uploads abandoned by the thousand are removed when the uploads are opened', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open({ uploadsPerOwner: 2_000 });
  for (let count = 0; count < 2_000; count++) {
    const upload = await uploads.start(REPOSITORY, 'ada');
    // The others have no files.
    if (count % 2 === 0) await upload.append(chunksOf([BYTES]));
  }
  t.is(world.files().length, 2_000);
  await rejection(t, 'UPLOAD_LIMIT_EXCEEDED', uploads.start(REPOSITORY, 'ada'));
  // The files are as old as the clock of the system says.
  world.time += 25 * HOUR;
  await world.open();
  t.deepEqual(world.files(), []);
});

test('the limits are those of limits.ts unless given', async (t) => {
  const rows = [
    ['uploads', MAX_UPLOADS_PER_OWNER, MAX_UPLOADS],
    ['bytes', MAX_UPLOADED_BYTES_PER_OWNER, MAX_UPLOADED_BYTES],
    ['blobs', MAX_STAGED_BLOBS_PER_OWNER, MAX_STAGED_BLOBS],
  ] as const;
  for (const [what, own, all] of rows) {
    const quota = new UploadQuota(defaultUploadLimits);
    quota.take('ada', what, own);
    storeError(t, 'UPLOAD_LIMIT_EXCEEDED', () => quota.take('ada', what, 1));
    quota.add('bob', what, all - own);
    t.deepEqual(storeError(t, 'UPLOAD_LIMIT_EXCEEDED', () => quota.take('eve', what, 1)).data['most'], all);
    quota.add('bob', what, -1);
    quota.take('eve', what, 1);
  }
  const quota = new UploadQuota(defaultUploadLimits);
  quota.checkUploadSize(MAX_UPLOAD_BYTES, 'ada');
  storeError(t, 'UPLOAD_LIMIT_EXCEEDED', () => quota.checkUploadSize(MAX_UPLOAD_BYTES + 1, 'ada'));
  quota.checkRepositories(MAX_REPOSITORIES_PER_STAGED_BLOB, 'ada');
  storeError(t, 'UPLOAD_LIMIT_EXCEEDED', () => quota.checkRepositories(MAX_REPOSITORIES_PER_STAGED_BLOB + 1, 'ada'));
  t.is(defaultUploadLimits.expiryMs, UPLOAD_EXPIRY_MS);
  t.is(defaultUploadLimits.idleMeters, MAX_IDLE_METERS);
});

test('a record with all repositories and the longest names can be read again, and a longer one is damaged', async (t) => {
  const owner = '\u0001'.repeat(MAX_ACTOR_BYTES);
  const repositories = Array.from({ length: MAX_REPOSITORIES_PER_STAGED_BLOB }, (_, index) => ({
    repository: String(index).padStart(MAX_REFERENCE_NAME_LENGTH, 'a'),
    owner,
    used: Date.now(),
  }));
  const alias = `sha512:${'a'.repeat(128)}` as const;
  const record = { size: BYTES.length, isUploaded: true, measurement: undefined, alias, repositories };
  const bytes = formatStagedRecord(record);
  t.true(bytes.length < MAX_UPLOAD_RECORD_BYTES);
  t.deepEqual(parseStagedRecord(bytes, DIGEST), record);
  const world = await uploadWorld(t);
  await uploaded(await world.open(), BYTES, { digest: DIGEST });
  const file = join(world.directory, 'uploads/staged', `${digestHex(DIGEST)}.json`);
  await truncate(file, MAX_UPLOAD_RECORD_BYTES + 1);
  t.is((await world.open()).staged(REPOSITORY, DIGEST), undefined);
  t.is(world.notices.length, 1);
});
