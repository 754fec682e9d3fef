import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { isStoreError } from '../../../src/errors.js';
import { digestHex } from '../../../src/model/digest.js';
import type { Uploads } from '../../../src/store/registry/local-uploads.js';
import { testOrSkip } from '../../support/requires.js';
import { fillDisk, smallDisk, whyNoDisk } from './small-disk.js';
import { namedBytes, namedDigest, openUploads, REPOSITORY } from './uploaded-bytes.js';

const CHUNK_BYTES = 8 * 1_024;
const MOST_KIB = 600;
const STEP_KIB = 40;

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

async function upload(uploads: Uploads, name: string): Promise<void> {
  const incoming = await uploads.start(REPOSITORY, 'ada');
  await incoming.append(chunksOf(namedBytes(name)));
  await incoming.finish(namedDigest(name));
}

/** Uploads until one fails; returns the names of those that were acknowledged, and the code of the failure. */
async function uploadUntilFull(uploads: Uploads): Promise<{ names: string[]; code: string }> {
  const names: string[] = [];
  for (;;) {
    const name = `blob ${names.length}`;
    try {
      await upload(uploads, name);
      names.push(name);
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return { names, code: error.code };
    }
  }
}

const filesOf = (directory: string): string[] =>
  ['incoming', 'staged'].flatMap((folder) => readdirSync(join(directory, 'uploads', folder))).sort();

testOrSkip(whyNoDisk())('an upload that meets a full disk leaves nothing, wherever it meets it', async (t) => {
  t.timeout(120_000);
  const disk = smallDisk(t, 16);
  for (let kib = 0; kib <= MOST_KIB; kib += STEP_KIB) {
    const directory = join(disk, `${kib}`);
    mkdirSync(directory);
    const uploads = await openUploads(directory);
    await upload(uploads, 'before');
    const makeRoom = await fillDisk(disk, kib * 1_024);
    const { names, code } = await uploadUntilFull(uploads);
    t.is(code, 'DISK_FULL', `${kib} KiB`);
    const staged = ['before', ...names];
    const expected = staged.flatMap((name) => [digestHex(namedDigest(name)), `${digestHex(namedDigest(name))}.json`]);
    t.deepEqual(filesOf(directory), expected.sort(), `${kib} KiB`);
    makeRoom();
    await upload(uploads, 'after');
    await uploads.end();
    const again = await openUploads(directory);
    for (const name of [...staged, 'after']) {
      const found = again.staged(REPOSITORY, namedDigest(name));
      t.deepEqual(found && new Uint8Array(await buffer(found.read())), namedBytes(name));
    }
    await again.end();
    rmSync(directory, { recursive: true });
  }
});
