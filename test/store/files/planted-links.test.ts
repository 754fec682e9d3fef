import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parseCheckpoint } from '../../../src/log/checkpoint.js';
import { newFSStoreBackend } from '../../../src/store/docker-backend.js';
import { createKeyFile, readKeyFile, readSigner } from '../../../src/store/keys.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { requires } from '../../support/requires.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { bytesOf } from '../../support/text-bytes.js';
import { archivePath } from '../fixture-archives.js';

/*
 * What leads out of a store, a backup or beside a key. test/slow/planted-links.test.ts has every
 * file and folder of a store.
 */

const withPipes = requires('mkfifo');
const pipeAt = (path: string): Buffer => execFileSync('mkfifo', [path]);

/** A directory of somebody else with a file in it; `isUntouched` says whether it is as it was. */
async function foreign(
  directory: string,
): Promise<{ path: string; file: string; isUntouched: () => Promise<boolean> }> {
  await mkdir(directory);
  const file = join(directory, 'precious');
  await writeFile(file, 'of somebody else');
  const isUntouched = async (): Promise<boolean> =>
    (await readdir(directory)).join() === 'precious' && (await readFile(file, 'utf8')) === 'of somebody else';
  return { path: directory, file, isUntouched };
}

test('an open puts its own owner.json in the place of a link, and a close removes it', async (t) => {
  const place = await temporaryDirectory(t);
  const { file, isUntouched } = await foreign(join(place, 'outside'));
  const directory = join(place, 'store');
  await (await openStore(directory)).close();
  await symlink(file, join(directory, 'owner.json'));
  const store = await openStore(directory);
  t.true((await lstat(join(directory, 'owner.json'))).isFile());
  t.is(JSON.parse(await readFile(join(directory, 'owner.json'), 'utf8')).pid, process.pid);
  await store.close();
  t.false((await readdir(directory)).some((name) => name.startsWith('owner') || name.startsWith('.tmp')));
  t.true(await isUntouched());
});

test('a store whose blobs are a link is read, and not opened for writing, which would sweep them', async (t) => {
  const place = await temporaryDirectory(t);
  const directory = join(place, 'store');
  await using store = await openStore(directory, { actor: 'tester' });
  await store.load(archivePath('docker25-all.tar'));
  await store.close();
  await rename(join(directory, 'blobs'), join(place, 'disk'));
  await symlink(join(place, 'disk'), join(directory, 'blobs'));
  await writeFile(join(place, 'disk', 'sha256', 'ab'.repeat(32)), 'of another store');
  const error = await rejection(t, 'IO_FAILED', openStore(directory));
  t.regex(error.message, /blobs: expected a directory, found a link; mount another disk there/);
  t.true((await readdir(join(place, 'disk', 'sha256'))).includes('ab'.repeat(32)));
  await using reader = await openStore(directory, { readOnly: true });
  const [name = ''] = reader.referenceEntries().map(({ reference }) => reference);
  let size = 0;
  for await (const chunk of reader.save(name)) size += (chunk as Uint8Array).length;
  t.true(size > 0);
});

test('a blob that is a link is missing, and takes its place again when the layer comes', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await using store = await openTestStore(t, { directory });
  await store.load(archivePath('docker25-all.tar'));
  const [digest = ''] = await readdir(join(directory, 'blobs', 'sha256'));
  const path = join(directory, 'blobs', 'sha256', digest);
  await rename(path, join(directory, '..', 'elsewhere'));
  await symlink(join(directory, '..', 'elsewhere'), path);
  t.true((await store.verify()).some(({ place }) => place === `blobs/sha256/${digest}`));
  await store.load(archivePath('docker25-all.tar'));
  t.true((await lstat(path)).isFile(), 'the bytes are in the store again');
  t.deepEqual(await store.verify(), []);
});

test('a first backup clears no folder that a link leads to, nor does one write into a folder that became a link', async (t) => {
  const place = await temporaryDirectory(t);
  const { path, isUntouched } = await foreign(join(place, 'outside'));
  await using store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const target = join(place, 'backup');
  await mkdir(target);
  await symlink(path, join(target, '.staging'));
  await rejection(t, 'IO_FAILED', store.backup(target));
  t.true(await isUntouched());
  await unlink(join(target, '.staging'));
  await store.backup(target);
  await rm(join(target, 'tile', 'entries'), { recursive: true });
  await symlink(path, join(target, 'tile', 'entries'));
  await store.create(imageConfig('b'));
  await rejection(t, 'IO_FAILED', store.backup(target));
  t.true(await isUntouched());
});

withPipes('pipes in a backup are reported, and not waited for', async (t) => {
  await using store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const target = join(await temporaryDirectory(t), 'backup');
  await store.backup(target);
  const [blob = ''] = await readdir(join(target, 'blobs', 'sha256'));
  for (const path of ['checkpoint', 'imagelog.json', join('blobs', 'sha256', blob)]) {
    await rename(join(target, path), join(target, '..', 'away'));
    pipeAt(join(target, path));
    t.true((await verifyStore(target)).length > 0, path);
    await unlink(join(target, path));
    await rename(join(target, '..', 'away'), join(target, path));
  }
});

withPipes('a pipe or a link in the memory of a key is refused, and not waited for', async (t) => {
  const place = await temporaryDirectory(t);
  const { path, isUntouched } = await foreign(join(place, 'outside'));
  const key = join(place, 'log.key');
  await createKeyFile(key, 'a');
  const signer = await readSigner(key);
  const checkpoint = { origin: 'a', size: 1, root: new Uint8Array(32), extensions: [] };
  const sign = (): Promise<string> => signer.sign(checkpoint, async () => true);
  await symlink(path, `${key}.signed`);
  await rejection(t, 'IO_FAILED', sign());
  t.true(await isUntouched());
  await unlink(`${key}.signed`);
  t.is(parseCheckpoint(await sign()).size, 1);
  pipeAt(join(`${key}.signed`, '7'));
  await rejection(t, 'IO_FAILED', sign());
  await rejection(
    t,
    'IO_FAILED',
    signer.check(async () => true),
  );
});

withPipes('a key is made over nothing that is there, and read from no pipe', async (t) => {
  const place = await temporaryDirectory(t);
  const key = join(place, 'log.key');
  await symlink(join(place, 'nothing'), `${key}.signed`);
  await rejection(t, 'FILE_EXISTS', createKeyFile(key, 'a'));
  await unlink(`${key}.signed`);
  await symlink(join(place, 'nothing'), key);
  await rejection(t, 'FILE_EXISTS', createKeyFile(key, 'a'));
  await unlink(key);
  pipeAt(key);
  await rejection(t, 'FILE_EXISTS', createKeyFile(key, 'a'));
  await rejection(t, 'KEY_INVALID', readKeyFile(key));
  t.deepEqual(await readdir(place), ['log.key']);
});

withPipes('in Docker’s layout nothing is written through a link, and no pipe is waited for', async (t) => {
  const place = await temporaryDirectory(t);
  const { path, isUntouched } = await foreign(join(place, 'outside'));
  const root = join(place, 'root');
  const backend = await newFSStoreBackend(root);
  const id = await backend.set(imageConfig('a'));
  const metadata = join(root, 'metadata', 'sha256', id.slice('sha256:'.length));
  await symlink(path, metadata);
  await t.throwsAsync(async () => backend.setMetadata(id, 'precious', bytesOf('mine')), { code: 'IO_FAILED' });
  t.true(await isUntouched());
  await backend.delete(id);
  t.true(await isUntouched());
  pipeAt(join(root, 'content', 'sha256', id.slice('sha256:'.length)));
  t.throws(() => backend.get(id), { code: 'IO_FAILED' });
});

test('a new store makes its log in no folder that has a link of somebody else in it', async (t) => {
  const place = await temporaryDirectory(t);
  const { file, isUntouched } = await foreign(join(place, 'outside'));
  await mkdir(join(place, 'store', 'log'), { recursive: true });
  await symlink(file, join(place, 'store', 'log', 'MANIFEST-000001'));
  await rejection(t, 'IO_FAILED', openStore(join(place, 'store')));
  t.true(await isUntouched());
});

test('a log may be a link to another disk, also of a new store', async (t) => {
  const place = await temporaryDirectory(t);
  await mkdir(join(place, 'disk'));
  await mkdir(join(place, 'store'));
  await symlink(join(place, 'disk'), join(place, 'store', 'log'));
  for (const name of ['a', 'b']) {
    await using store = await openTestStore(t, { directory: join(place, 'store') });
    await store.create(imageConfig(name));
    t.is(store.log.head.seq, name === 'a' ? 1 : 2);
    await store.close();
  }
  t.true((await readdir(join(place, 'disk'))).includes('CURRENT'));
});
