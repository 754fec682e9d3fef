import { appendFile, mkdir, open, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { digestHex, digestOf } from '../../../src/model/digest.js';
import { buildTar } from '../../support/build-tar.js';
import { rejection } from '../../support/rejection.js';
import { withCalls } from '../../support/replaced-calls.js';
import { bytesOf, chunksOf, hangingAfter, HOUR, OTHER, REPOSITORY, uploaded, uploadWorld } from './upload-world.js';

const tar = await buildTar([{ name: 'a', body: 'x'.repeat(5_000) }]);
const layer = new Uint8Array(gzipSync(tar));
const digest = digestOf(layer);

test('an upload is measured while it comes in, and staged under its digest', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  t.is(upload.size, 0);
  t.is(await upload.append(chunksOf([layer.subarray(0, 10), layer.subarray(10, 20)])), 20);
  t.is((await uploads.upload(REPOSITORY, upload.id)).size, 20);
  t.is(await upload.append(chunksOf([layer.subarray(20)]), 20), layer.length);
  const staged = await upload.finish(digest);
  t.like(staged, { digest, size: layer.length });
  t.deepEqual(staged.measurement, {
    compression: 'gzip',
    blob: { digest, size: layer.length, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
    layer: { diffId: digestOf(tar), diffSize: 5_000 },
  });
  t.deepEqual(await bytesOf(staged), layer);
  t.deepEqual(await bytesOf(staged, 3, 7), layer.slice(3, 8));
  t.deepEqual(world.files(), [`staged/${digestHex(digest)}`, `staged/${digestHex(digest)}.json`]);
  await rejection(t, 'UPLOAD_NOT_FOUND', uploads.upload(REPOSITORY, upload.id));
  await rejection(t, 'UPLOAD_NOT_FOUND', upload.append(chunksOf([layer])));
});

test('what was acknowledged is there after a crash, and the meter reads it once', async (t) => {
  const world = await uploadWorld(t);
  const before = await (await world.open()).start(REPOSITORY, 'ada');
  await before.append(chunksOf([layer.subarray(0, 60)]));
  const upload = await (await world.open()).upload(REPOSITORY, before.id);
  t.is(upload.size, 60);
  await upload.append(chunksOf([layer.subarray(60)]), 60);
  const staged = await upload.finish(digest);
  t.like(staged.measurement, { layer: { diffId: digestOf(tar) } });
  const again = (await world.open()).staged(REPOSITORY, digest);
  t.deepEqual(again?.measurement, staged.measurement);
  t.deepEqual(again && (await bytesOf(again)), layer);
});

test('an upload that power loss cut short says so, and one without a record is gone', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const [cut, lost] = [await uploads.start(REPOSITORY, 'ada'), await uploads.start(REPOSITORY, 'ada')];
  for (const each of [cut, lost]) await each.append(chunksOf([layer]));
  await truncate(join(world.directory, 'uploads/incoming', cut.id), 64);
  await writeFile(join(world.directory, 'uploads/incoming', `${lost.id}.json`), '');
  const again = await world.open();
  const upload = await again.upload(REPOSITORY, cut.id);
  t.is(upload.size, 64);
  await rejection(t, 'UPLOAD_NOT_FOUND', again.upload(REPOSITORY, lost.id));
  t.is(world.notices.length, 1);
  await upload.append(chunksOf([layer.subarray(64)]));
  t.is((await upload.finish(digest)).digest, digest);
});

test('bytes that begin elsewhere are refused, and change nothing', async (t) => {
  const uploads = await (await uploadWorld(t)).open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  await upload.append(chunksOf([layer.subarray(0, 50)]), 0);
  for (const from of [0, 49, 51]) {
    const error = await rejection(t, 'UPLOAD_OUT_OF_ORDER', upload.append(chunksOf([layer]), from));
    t.deepEqual(error.data, { size: 50, from });
  }
  t.is(upload.size, 50);
});

test('one request at a time works on an upload; a cancel stops it', async (t) => {
  const world = await uploadWorld(t);
  const upload = await (await world.open()).start(REPOSITORY, 'ada');
  const { bytes, hangs } = hangingAfter(layer.subarray(0, 5));
  const hanging = upload.append(bytes);
  await hangs;
  await rejection(t, 'UPLOAD_OUT_OF_ORDER', upload.append(chunksOf([layer])));
  await rejection(t, 'UPLOAD_OUT_OF_ORDER', upload.finish(digest));
  await Promise.all([upload.cancel(), rejection(t, 'UPLOAD_NOT_FOUND', hanging)]);
  t.deepEqual(world.files(), []);
});

test('a source that fails leaves what came before', async (t) => {
  const uploads = await (await uploadWorld(t)).open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  const failure = new Error('the connection is gone');
  const thrown = await t.throwsAsync(upload.append(chunksOf([layer.subarray(0, 30)], failure)));
  t.is(thrown, failure);
  t.is(upload.size, 30);
  await upload.append(chunksOf([layer.subarray(30)]), 30);
  t.is((await upload.finish(digest)).size, layer.length);
});

test('an upload with another digest is removed', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const error = await rejection(t, 'BLOB_MISMATCH', uploaded(uploads, layer, { digest: digestOf(tar) }));
  t.deepEqual(error.data, { expected: digestOf(tar), found: digest });
  t.deepEqual(world.files(), []);
  t.is(uploads.staged(REPOSITORY, digest), undefined);
});

test('a chunk that is no bytes is refused', async (t) => {
  const upload = await (await (await uploadWorld(t)).open()).start(REPOSITORY, 'ada');
  const text = ['text'] as unknown as AsyncIterable<Uint8Array>;
  await t.throwsAsync(upload.append(text), { instanceOf: TypeError });
  t.is(upload.size, 0);
});

test('an empty upload, and one that is no layer, are blobs too', async (t) => {
  const uploads = await (await uploadWorld(t)).open();
  const empty = new Uint8Array(0);
  const staged = await uploaded(uploads, empty, { digest: digestOf(empty) });
  t.deepEqual(await bytesOf(staged), empty);
  const { digest: again } = await (await uploads.start(OTHER, 'ada')).finish(digestOf(empty));
  t.is(again, digestOf(empty));
  const text = new TextEncoder().encode('{"architecture":"amd64"}');
  const config = await uploaded(uploads, text, { digest: digestOf(text) });
  t.like(config.measurement?.layer, { code: 'LAYER_INVALID' });
});

test('the finding that a blob is no layer survives a restart', async (t) => {
  const world = await uploadWorld(t);
  const text = new TextEncoder().encode('{"architecture":"amd64"}');
  const before = await uploaded(await world.open(), text, { digest: digestOf(text) });
  const after = (await world.open()).staged(REPOSITORY, digestOf(text));
  t.like(after?.measurement?.layer, { code: 'LAYER_INVALID' });
  t.like(after?.measurement, { compression: 'none', blob: before.measurement?.blob });
});

test('an upload whose bytes come with its last request has no files before it is staged', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  t.deepEqual(world.files(), []);
  // A crash forgets it: nothing came yet.
  await rejection(t, 'UPLOAD_NOT_FOUND', (await world.open()).upload(REPOSITORY, upload.id));
  const halves = [layer.subarray(0, 60), layer.subarray(60)];
  t.is(await upload.append(chunksOf(halves), 0, { isLast: true }), layer.length);
  t.deepEqual(world.files(), []);
  const staged = await upload.finish(digest);
  t.deepEqual(world.files(), [`staged/${digestHex(digest)}`, `staged/${digestHex(digest)}.json`]);
  const again = (await world.open()).staged(REPOSITORY, digest);
  for (const each of [staged, again]) {
    t.like(each?.measurement, { layer: { diffId: digestOf(tar) } });
    t.deepEqual(each && (await bytesOf(each)), layer);
  }
});

test('a close records uploads that have no bytes, or says that it cannot', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const { id } = await uploads.start(REPOSITORY, 'ada');
  await uploads.end();
  const again = await world.open();
  t.is((await again.upload(REPOSITORY, id)).size, 0);
  await again.start(OTHER, 'ada');
  await rm(join(world.directory, 'uploads'), { recursive: true });
  await writeFile(join(world.directory, 'uploads'), 'a file');
  await again.end();
  t.regex(world.notices.join(), /could not be recorded/);
});

test('a last request that breaks off leaves what came, and one that is not the last is continued', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const failure = new Error('the connection is gone');
  const broken = await uploads.start(REPOSITORY, 'ada');
  await t.throwsAsync(broken.append(chunksOf([layer.subarray(0, 30)], failure), 0, { isLast: true }));
  t.is((await (await world.open()).upload(REPOSITORY, broken.id)).size, 30);
  await broken.append(chunksOf([layer.subarray(30)]), 30, { isLast: true });
  t.is((await broken.finish(digest)).size, layer.length);
  const longer = await uploads.start(OTHER, 'ada');
  await longer.append(chunksOf([layer]), 0, { isLast: true });
  const sha512 = `sha512:${createHash('sha512').update(layer).update(layer).digest('hex')}`;
  await longer.append(chunksOf([layer]), layer.length, { isLast: true });
  const staged = await longer.finish(sha512);
  t.deepEqual(await bytesOf(staged), new Uint8Array(Buffer.concat([layer, layer])));
});

test('an upload of another repository is not found', async (t) => {
  const uploads = await (await uploadWorld(t)).open();
  const { id } = await uploads.start(REPOSITORY, 'ada');
  await rejection(t, 'UPLOAD_NOT_FOUND', uploads.upload(OTHER, id));
  await rejection(t, 'UPLOAD_NOT_FOUND', uploads.upload(REPOSITORY, '../../imagelog.json'));
});

test('an upload expires a day after its last use, also by a clock that was set back', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const [left, used] = [await uploads.start(REPOSITORY, 'ada'), await uploads.start(REPOSITORY, 'ada')];
  for (const each of [left, used]) await each.append(chunksOf([layer]));
  world.time += 23 * HOUR;
  await used.append(chunksOf([layer]));
  world.time += HOUR;
  await uploads.sweep();
  await rejection(t, 'UPLOAD_NOT_FOUND', uploads.upload(REPOSITORY, left.id));
  t.is((await uploads.upload(REPOSITORY, used.id)).size, 2 * layer.length);
  t.deepEqual(world.files(), [`incoming/${used.id}`, `incoming/${used.id}.json`]);
  world.time -= 1_000 * HOUR;
  const again = await world.open();
  world.time += 24 * HOUR;
  await again.sweep();
  t.deepEqual(world.files(), []);
});

test('a close stops requests and keeps what came; no upload is taken afterwards', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const upload = await uploads.start(REPOSITORY, 'ada');
  const { bytes, hangs } = hangingAfter(layer.subarray(0, 40));
  const hanging = upload.append(bytes);
  await hangs;
  await Promise.all([uploads.end(), rejection(t, 'STORE_CLOSED', hanging)]);
  await rejection(t, 'STORE_CLOSED', uploads.start(REPOSITORY, 'ada'));
  await rejection(t, 'STORE_CLOSED', upload.append(chunksOf([layer])));
  const again = await (await world.open()).upload(REPOSITORY, upload.id);
  t.is(again.size, 40);
  await again.append(chunksOf([layer.subarray(40)]), 40);
  t.is((await again.finish(digest)).digest, digest);
});

test('uploads beyond those that keep a meter are read again', async (t) => {
  const uploads = await (await uploadWorld(t)).open({ idleMeters: 1 });
  const all = await Promise.all([1, 2, 3].map(() => uploads.start(REPOSITORY, 'ada')));
  for (const upload of all) await upload.append(chunksOf([layer.subarray(0, 77)]));
  for (const upload of all) await upload.append(chunksOf([layer.subarray(77)]));
  for (const upload of all) t.like((await upload.finish(digest)).measurement, { layer: { diffId: digestOf(tar) } });
});

test('folders and links where files belong are removed', async (t) => {
  const world = await uploadWorld(t);
  await (await (await world.open()).start(REPOSITORY, 'ada')).append(chunksOf([layer]));
  const folder = join(world.directory, 'uploads');
  for (const name of ['incoming/a/b', 'staged/c/d', 'incoming/e.json/f'])
    await mkdir(join(folder, name), { recursive: true });
  await symlink(join(folder, 'incoming/a'), join(folder, `staged/${'1'.repeat(64)}`));
  await writeFile(join(folder, `staged/${'1'.repeat(64)}.json`), '{"size":0,"isUploaded":true,"repositories":[]}');
  await world.open();
  t.is((await readdir(join(folder, 'incoming'))).length, 2);
  t.deepEqual(await readdir(join(folder, 'staged')), []);
});

test('files that a crash left are removed, and those of uploads stay', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  const begun = await uploads.start(REPOSITORY, 'ada');
  await begun.append(chunksOf([layer]));
  await uploaded(uploads, layer, { digest });
  const kept = world.files();
  const folder = join(world.directory, 'uploads');
  // A kill while an upload begins leaves a record that is not whole.
  await appendFile(join(folder, 'incoming/begun.json'), '{"repo');
  for (const name of ['incoming/lone', 'staged/.tmp-1', `staged/${'0'.repeat(64)}`]) {
    await appendFile(join(folder, name), 'left');
  }
  t.is((await (await world.open()).upload(REPOSITORY, begun.id)).size, layer.length);
  t.deepEqual(world.files(), kept);
  t.deepEqual(world.notices, []);
  t.deepEqual(new Uint8Array(await readFile(join(folder, 'staged', digestHex(digest)))), layer);
});

test('a store that is read only takes no upload, and has none', async (t) => {
  const world = await uploadWorld(t);
  const { id } = await (await world.open()).start(REPOSITORY, 'ada');
  const files = world.files();
  world.readOnly = true;
  world.time += 48 * HOUR;
  const uploads = await world.open();
  await rejection(t, 'STORE_READ_ONLY', uploads.start(REPOSITORY, 'ada'));
  await rejection(t, 'STORE_READ_ONLY', uploads.upload(REPOSITORY, id));
  await rejection(t, 'STORE_READ_ONLY', uploads.mount(REPOSITORY, digest, 'ada'));
  await rejection(t, 'STORE_READ_ONLY', uploads.remove(REPOSITORY, digest));
  t.is(uploads.staged(REPOSITORY, digest), undefined);
  t.deepEqual(world.files(), files);
});

test('the folder is made for the first upload', async (t) => {
  const world = await uploadWorld(t);
  const uploads = await world.open();
  await rejection(t, 'UPLOAD_NOT_FOUND', uploads.upload(REPOSITORY, 'none'));
  await uploads.settle(REPOSITORY, [digest]);
  await uploads.sweep();
  await uploads.end();
  t.deepEqual(await readdir(world.directory), ['blobs']);
});

for (const [what, name, isLast] of [
  ['bytes', 'write', false],
  ['room for a new file', 'open', false],
  ['bytes for an upload in memory', 'write', true],
  ['room for a file of an upload in memory', 'open', true],
] as const) {
  test(`a disk without ${what} refuses uploads and grows no further`, async (t) => {
    const world = await uploadWorld(t);
    const uploads = await world.open();
    const other = await uploads.start(OTHER, 'ada');
    // The folders are made.
    const config = new TextEncoder().encode('{}');
    const mounted = digestOf(config);
    world.content.set(mounted, config);
    await uploads.mount(OTHER, mounted, 'ada');
    const files = world.files();
    const { used } = uploads;
    await withFullDisk(name, async () => {
      const error = await rejection(t, 'DISK_FULL', uploaded(uploads, layer, { digest, isLast }));
      t.is(error.data['systemCode'], 'ENOSPC');
    });
    t.deepEqual(world.files(), files);
    t.deepEqual(uploads.used, used);
    await other.append(chunksOf([layer]), 0, { isLast });
    t.is((await other.finish(digest)).size, layer.length);
    const again = await uploaded(uploads, layer, { digest, isLast });
    t.deepEqual(await bytesOf(again), layer);
  });
}

/** Runs `run` while a call of every open file, or the making of files, fails as on a full disk. */
async function withFullDisk(name: 'write' | 'open', run: () => Promise<void>): Promise<void> {
  const full = (): never => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  const fullCall = (...args: unknown[]): void => {
    try {
      full();
    } catch (error) {
      (args.at(-1) as (error: unknown) => void)(error);
    }
  };
  if (name === 'open') return withCalls({ promises: { open: full }, sync: { open: fullCall } }, run);
  const probe = await open(process.execPath);
  const prototype = Object.getPrototypeOf(probe) as { write: unknown };
  await probe.close();
  const { write } = prototype;
  prototype.write = full;
  await withCalls({ sync: { write: fullCall } }, run).finally(() => {
    prototype.write = write;
  });
}
