import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { bufferPair, readAhead } from '../../../src/store/files/read-ahead.js';
import { numberedBytes } from '../../support/numbered-bytes.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const MIB = 1024 * 1024;

async function copied(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Uint8Array[] = [];
  for await (const chunk of chunks) copies.push(new Uint8Array(chunk));
  return Buffer.concat(copies);
}

function isClosed(file: FileHandle): boolean {
  return file.fd === -1;
}

test('files of any size are read whole through the same buffers, and closed', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  const buffers = bufferPair();
  for (const size of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 17]) {
    const bytes = numberedBytes(size);
    await writeFile(path, bytes);
    const file = await open(path);
    t.true(bytes.equals(await copied(readAhead(file, buffers))), `${size} bytes`);
    t.true(isClosed(file));
  }
});

test('a chunk stays as it is until the next is pulled, while that is read', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  const bytes = numberedBytes(4 * MIB);
  await writeFile(path, bytes);
  let at = 0;
  for await (const chunk of readAhead(await open(path))) {
    // Time enough for the read that is in progress.
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.true(bytes.subarray(at, at + chunk.length).equals(chunk), `at ${at}`);
    at += chunk.length;
  }
  t.is(at, bytes.length);
});

test('an early end waits for the read that is in progress and closes the file', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  await writeFile(path, numberedBytes(3 * MIB));
  const file = await open(path);
  for await (const chunk of readAhead(file)) {
    t.is(chunk.length, MIB);
    break;
  }
  t.true(isClosed(file));
});

test('a read that fails is thrown after the chunk before it, and the file is closed', async (t) => {
  let reads = 0;
  let isEnded = false;
  const failing = {
    read: async (buffer: Uint8Array) => {
      reads += 1;
      if (reads === 1) return { bytesRead: 3, buffer };
      throw new Error('the disk is gone');
    },
    close: async () => {
      isEnded = true;
    },
  };
  const chunks = readAhead(failing as unknown as FileHandle);
  t.is((await chunks.next()).value?.length, 3);
  // Nothing awaits the failed read yet: it must not count as unhandled.
  await new Promise((resolve) => setImmediate(resolve));
  await t.throwsAsync(chunks.next(), { message: 'the disk is gone' });
  t.true(isEnded);
});
