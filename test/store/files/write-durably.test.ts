import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { lentChunks, twoBuffers, writeDurably } from '../../../src/store/files/write-durably.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const MIB = 1024 * 1024;

/** A file in memory that takes at most `piece` bytes at a time, and tells what was done to it. */
class MemoryFile {
  readonly calls: string[] = [];
  readonly #piece: number;
  readonly #fails: string | undefined;
  readonly #chunks: Uint8Array[] = [];
  #running = 0;

  constructor(piece: number, fails?: string) {
    this.#piece = piece;
    this.#fails = fails;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get isQuiet(): boolean {
    return this.#running === 0;
  }

  async write(bytes: Uint8Array, offset: number): Promise<{ bytesWritten: number }> {
    await this.#call('write');
    const taken = bytes.slice(offset, offset + this.#piece);
    this.#chunks.push(taken);
    return { bytesWritten: taken.length };
  }

  async datasync(): Promise<void> {
    await this.#call('datasync');
  }

  async sync(): Promise<void> {
    await this.#call('sync');
  }

  async #call(name: string): Promise<void> {
    this.#running += 1;
    await new Promise((resolve) => setImmediate(resolve));
    this.#running -= 1;
    this.calls.push(name);
    if (name === this.#fails) throw new Error(`${name} failed`);
  }
}

const asHandle = (file: MemoryFile): FileHandle => file as unknown as FileHandle;

/** Gives `count` chunks of a MiB, each of another number, in two buffers; `ended` tells how it was closed. */
function lent(count: number, failAt?: number): { chunks: AsyncGenerator<Uint8Array>; isClosed: () => boolean } {
  let isClosed = false;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const buffers = [new Uint8Array(MIB), new Uint8Array(MIB)] as const;
    try {
      for (let at = 0; at < count; at++) {
        if (at === failAt) throw new Error('source failed');
        yield buffers[at % 2 === 0 ? 0 : 1].fill(at);
      }
    } finally {
      isClosed = true;
    }
  }
  return { chunks: chunks(), isClosed: () => isClosed };
}

test('chunks in two buffers arrive whole and in order, by a file that takes a part of each', async (t) => {
  const file = new MemoryFile(400_000);
  await writeDurably(asHandle(file), lent(5).chunks);
  t.is(file.bytes.length, 5 * MIB);
  for (let at = 0; at < 5; at++) t.true(file.bytes.subarray(at * MIB, (at + 1) * MIB).every((byte) => byte === at));
  t.is(file.calls.at(-1), 'sync');
});

test('a large file begins to be synced while it is written, and is synced at its end', async (t) => {
  const file = new MemoryFile(MIB);
  await writeDurably(asHandle(file), lent(40).chunks);
  t.is(file.calls.filter((call) => call === 'datasync').length, 2);
  t.true(file.calls.indexOf('datasync') < file.calls.lastIndexOf('write'));
  t.deepEqual(file.calls.slice(-1), ['sync']);
});

test('nothing is written of no chunks, and that is durable', async (t) => {
  const file = new MemoryFile(MIB);
  await writeDurably(asHandle(file), lent(0).chunks);
  t.deepEqual(file.calls, ['sync']);
});

const fails = test.macro({
  async exec(t, what: string) {
    const file = new MemoryFile(MIB, what);
    const { chunks, isClosed } = lent(40, what === 'source' ? 20 : undefined);
    await t.throwsAsync(writeDurably(asHandle(file), chunks), { message: `${what} failed` });
    t.true(file.isQuiet, 'nothing continues in the file');
    t.true(isClosed(), 'the source is closed');
  },
  title: (_, what) => `what ${what} fails with is thrown when all has settled`,
});

// A failed datasync is told although the sync after it succeeds.
for (const what of ['write', 'datasync', 'sync', 'source']) test(fails, what);

test('a datasync that fails after the last write is told', async (t) => {
  const file = new MemoryFile(MIB, 'datasync');
  await t.throwsAsync(writeDurably(asHandle(file), lent(16).chunks), { message: 'datasync failed' });
});

test('files of any size are copied through lent chunks, one after another', async (t) => {
  const directory = await temporaryDirectory(t);
  const sizes = [0, 1, MIB - 1, MIB, 0, MIB + 1, 2 * MIB, 3 * MIB + 17, 0];
  const parts = sizes.map((size, at) => Buffer.alloc(size, at + 1));
  for (const [at, part] of parts.entries()) await writeFile(join(directory, `${at}`), part);
  const nextBuffer = twoBuffers();
  async function* all(): AsyncGenerator<Uint8Array> {
    for (const at of parts.keys()) yield* lentChunks(join(directory, `${at}`), nextBuffer);
  }
  const copy = join(directory, 'copy');
  const file = await open(copy, 'w');
  await writeDurably(file, all());
  await file.close();
  t.true(Buffer.concat(parts).equals(await readFile(copy)));
});

test('the first chunk of a file is not read into the buffer that the last of another lent', async (t) => {
  const directory = await temporaryDirectory(t);
  const nextBuffer = twoBuffers();
  const chunks: Uint8Array[] = [];
  for (const name of ['a', 'b']) {
    await writeFile(join(directory, name), name);
    for await (const chunk of lentChunks(join(directory, name), nextBuffer)) chunks.push(chunk);
  }
  t.deepEqual(
    chunks.map((chunk) => Buffer.from(chunk).toString()),
    ['a', 'b'],
  );
});
