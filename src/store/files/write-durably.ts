import type { FileHandle } from 'node:fs/promises';
import { openRegularFile } from './files.js';

/** Bytes after which what is written begins to be synced. From 4 to 32 MiB make no difference; with no such sync a file of 380 MB takes a third longer. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/**
 * Writes `chunks` to `file` from its position on; durable on return. Three things go on at once: a chunk is written, the next one is
 * asked for, and the disk takes what was written before. So a chunk must stay what it is until the one after the next is asked for.
 * When it fails, nothing of it goes on any more, and the chunks are returned from; it throws what the chunks or the file fail with.
 */
export async function writeDurably(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  const sync = new RunningSync(file);
  let writing: Promise<void> | undefined;
  try {
    for (let next = await iterator.next(); next.done !== true; ) {
      writing = writeWhole(file, next.value);
      sync.start(next.value.length);
      [next] = await Promise.all([iterator.next(), writing]);
    }
    await sync.finish();
  } finally {
    // The caller closes the file, and the system may give its number to another.
    await Promise.allSettled([writing, sync.settled()]);
    await iterator.return?.();
  }
}

async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}

/** A sync of a file beside the writes to it, one at a time. */
class RunningSync {
  readonly #file: FileHandle;
  #unsyncedBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Tells that `bytes` more are written; starts a sync when they are many and none is under way. Throws what an earlier one met. */
  start(bytes: number): void {
    this.#throwFailure();
    this.#unsyncedBytes += bytes;
    if (this.#running !== undefined || this.#unsyncedBytes < SYNC_EVERY_BYTES) return;
    this.#unsyncedBytes = 0;
    this.#running = this.#file.datasync().then(
      () => this.#ended(),
      (error: unknown) => this.#ended({ error }),
    );
  }

  /** Makes all durable that was written. */
  async finish(): Promise<void> {
    await this.#running;
    // The system tells of bytes that it lost once: the sync below would know nothing of them.
    this.#throwFailure();
    await this.#file.sync();
  }

  /** Resolves when no sync is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #ended(failure?: { readonly error: unknown }): void {
    this.#failure = failure;
    this.#running = undefined;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Bytes of a buffer. */
const BUFFER_BYTES = 1024 * 1024;

/** Gives the buffer that the next chunk is read into. */
export type NextBuffer = () => Uint8Array;

/** Returns what gives two buffers by turns: one can be read into while the bytes of the other are written. */
export function twoBuffers(): NextBuffer {
  const [a, b] = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)];
  let isFirst = false;
  return () => {
    isFirst = !isFirst;
    return isFirst ? a : b;
  };
}

/**
 * Gives the bytes of the file at `path` in chunks that are lent: each stays what it is until its buffer is given out again. With a new
 * buffer for each chunk a save takes 1.8 times as long: the collector looks through the whole heap whenever some 30 MB of them have come.
 * Fails as `openRegularFile` does.
 */
export async function* lentChunks(path: string, nextBuffer: NextBuffer): AsyncGenerator<Uint8Array> {
  await using file = await openRegularFile(path);
  for (;;) {
    const { bytesRead, buffer } = await file.read(nextBuffer());
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
