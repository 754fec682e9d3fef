import type { FileHandle } from 'node:fs/promises';
import { openRegularFile } from './files.js';

/**
 * Bytes between background syncs. From 4 to 32 MiB makes no difference; without them a file of 380
 * MB takes a third longer.
 */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/**
 * Writes `chunks` to `file` from its position on; durable on return. Pipelined: one chunk is
 * written while the next is pulled and the disk syncs earlier ones, so a chunk must stay unchanged
 * until the one after the next is pulled. On failure all work stops, `chunks` is returned from, and
 * the error of the chunks or the file is thrown.
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
    // The caller closes the file, and the system may reuse its descriptor.
    await Promise.allSettled([writing, sync.settled()]);
    await iterator.return?.();
  }
}

/** Writes all of `chunk` at the position of `file`. Throws Node's errors. */
export async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}

/** Syncs a file beside the writes to it, one sync at a time. */
export class RunningSync {
  readonly #file: FileHandle;
  #unsyncedBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Counts `bytes` written and syncs from time to time. Throws an earlier sync's failure. */
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

  /** Makes everything written durable. */
  async finish(): Promise<void> {
    // Else the sync below would succeed.
    await this.pause();
    await this.#file.sync();
  }

  /** Waits for a running sync. Throws its failure: the system reports lost bytes only once. */
  async pause(): Promise<void> {
    await this.#running;
    this.#throwFailure();
  }

  /** Resolves when no sync is running. */
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

const BUFFER_BYTES = 1024 * 1024;

/** Returns the buffer for the next chunk. */
export type NextBuffer = () => Uint8Array;

/** Alternates between two buffers: one is read into while the other is written. */
export function twoBuffers(): NextBuffer {
  const [a, b] = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)];
  let isFirst = false;
  return () => {
    isFirst = !isFirst;
    return isFirst ? a : b;
  };
}

/**
 * Reads the file at `path` in lent chunks, each valid until its buffer is given out again. With a
 * new buffer per chunk a save takes 1.8 times as long: every 30 MB or so trigger a full garbage
 * collection. Throws the errors of `openRegularFile`.
 */
export async function* lentChunks(
  path: string,
  nextBuffer: NextBuffer,
  { first, last }: { readonly first: number; readonly last: number } = { first: 0, last: Infinity },
): AsyncGenerator<Uint8Array> {
  await using file = await openRegularFile(path);
  for (let at = first; ; ) {
    const into = nextBuffer();
    const length = Math.min(into.length, last - at + 1);
    const { bytesRead, buffer } = length === 0 ? { bytesRead: 0, buffer: into } : await file.read(into, 0, length, at);
    at += bytesRead;
    if (bytesRead === 0) {
      // Gives its turn back: the other buffer may still be written when the next file is read.
      nextBuffer();
      return;
    }
    yield buffer.subarray(0, bytesRead);
  }
}
