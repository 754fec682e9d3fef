import type { FileHandle } from 'node:fs/promises';
import { MAX_PARALLEL_BLOBS, MAX_WAITING_BLOB_BYTES } from '../limits.js';
import type { Descriptor } from '../model/digest.js';
import { inSystem, unnamedFile } from '../store/files/files.js';
import { writeWhole } from '../store/files/write-durably.js';

const READ_BYTES = 1024 * 1024;

/** A blob that arrives before its turn to be read: a small one in memory, another in a file. */
class WaitingBlob {
  readonly #directory: string;
  readonly #chunks: Uint8Array[] = [];
  readonly #filled: Promise<void>;
  #file: FileHandle | undefined;
  #size = 0;
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(blob: Descriptor, chunks: AsyncIterable<Uint8Array>, directory: string) {
    this.#directory = directory;
    this.#filled = this.#fill(blob, chunks)
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#isDone = true;
        this.#wake();
      });
  }

  /** Streams the blob as it arrives. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (let at = 0, index = 0; ; ) {
      if (this.#file !== undefined && at < this.#size) {
        const { bytesRead, buffer } = await this.#file.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, at);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (this.#file === undefined && index < this.#chunks.length) {
        yield this.#chunks[index++] as Uint8Array;
      } else if (this.#failure !== undefined) {
        throw this.#failure.error;
      } else if (this.#isDone && (this.#file === undefined ? index === this.#chunks.length : at === this.#size)) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (this.#isDone) resolve();
        });
      }
    }
  }

  /** Waits until nothing more arrives, and removes the file. */
  async close(): Promise<void> {
    await this.#filled;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #fill({ size }: Descriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (size > MAX_WAITING_BLOB_BYTES) {
      this.#file = await inSystem('keep a layer until its turn', () => unnamedFile(this.#directory));
    }
    for await (const chunk of chunks) {
      const file = this.#file;
      if (file === undefined) this.#chunks.push(chunk);
      else await inSystem('keep a layer until its turn', () => writeWhole(file, chunk));
      this.#size += chunk.length;
      this.#wake();
    }
  }
}

/** Downloads blobs that are read in order, some of them before their turn. */
export class BlobsAhead {
  readonly #waiting: Descriptor[];
  readonly #started = new Map<Descriptor, WaitingBlob>();
  readonly #download: (blob: Descriptor) => AsyncIterable<Uint8Array>;
  readonly #directory: string;

  /** `blobs` in the order in which they are read; files lie in `directory`. */
  constructor(
    blobs: readonly Descriptor[],
    download: (blob: Descriptor) => AsyncIterable<Uint8Array>,
    directory: string,
  ) {
    this.#waiting = [...blobs];
    this.#download = download;
    this.#directory = directory;
  }

  /** Streams the next blob, which must be `blob`. */
  async *read(blob: Descriptor): AsyncGenerator<Uint8Array> {
    const known = this.#started.get(blob);
    if (known === undefined) this.#waiting.shift();
    this.#startAhead();
    if (known === undefined) {
      // It is its turn already: its bytes need no file.
      yield* this.#download(blob);
      return;
    }
    yield* known.read();
    this.#started.delete(blob);
    await known.close();
  }

  /** Ends all downloads, once their connections were closed. */
  async close(): Promise<void> {
    await Promise.all([...this.#started.values()].map((blob) => blob.close()));
  }

  #startAhead(): void {
    while (this.#started.size < MAX_PARALLEL_BLOBS - 1) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#started.set(next, new WaitingBlob(next, this.#download(next), this.#directory));
    }
  }
}
