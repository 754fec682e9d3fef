import test from 'ava';
import { scanArchive } from '../../src/archive/archive-tree.js';
import { MAX_MEMORY_BYTES, MAX_MEMORY_FILE_BYTES } from '../../src/limits.js';
import { buildTar, inChunks } from '../support/build-tar.js';
import { MemoryStaging } from './memory-staging.js';

async function stagedFiles(sizes: readonly number[]): Promise<number> {
  const staging = new MemoryStaging();
  const entries = sizes.map((size, at) => ({ name: `${at}`, body: Buffer.alloc(size) }));
  await scanArchive(inChunks(await buildTar(entries)), staging);
  return staging.left;
}

test('a file of an archive is staged when it is larger than MAX_MEMORY_FILE_BYTES', async (t) => {
  t.is(await stagedFiles([MAX_MEMORY_FILE_BYTES]), 0);
  t.is(await stagedFiles([MAX_MEMORY_FILE_BYTES + 1]), 1);
});

test('files are staged when those in memory have MAX_MEMORY_BYTES together', async (t) => {
  const count = MAX_MEMORY_BYTES / MAX_MEMORY_FILE_BYTES;
  const sizes = Array.from({ length: count }, () => MAX_MEMORY_FILE_BYTES);
  t.is(await stagedFiles(sizes), 0);
  t.is(await stagedFiles([...sizes, 1, 2]), 2);
});
