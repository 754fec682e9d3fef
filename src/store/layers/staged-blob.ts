import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Digest } from '../../model/digest.js';
import { ioFailure } from '../files/durable-file.js';

/** Bytes of a chunk that is read back. */
const READ_CHUNK_BYTES = 256 * 1024;

/** Is told of a staged file that it is written, and what its digest is. Never rejects. */
export type OnStaged = (file: StagedBlob, digest: Digest) => Promise<void>;

/** A file below `blobs/staging/` that is being written, or waits to be kept or discarded. */
export class StagedBlob {
  readonly path: string;
  readonly #onStaged: OnStaged | undefined;
  #handle: FileHandle | undefined;
  #synced: Promise<void> | undefined;
  #isHere = true;

  private constructor(path: string, handle: FileHandle, onStaged: OnStaged | undefined) {
    this.path = path;
    this.#handle = handle;
    this.#onStaged = onStaged;
  }

  /** Makes an empty file at `path`. @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED */
  static async create(path: string, onStaged?: OnStaged): Promise<StagedBlob> {
    try {
      return new StagedBlob(path, await open(path, 'wx'), onStaged);
    } catch (error) {
      throw ioFailure('stage a layer', error);
    }
  }

  /** Appends `chunk`; resolves when the system has it. */
  async write(chunk: Uint8Array): Promise<void> {
    try {
      let written = 0;
      while (written < chunk.length) {
        const { bytesWritten } = await this.#open().write(chunk, written);
        written += bytesWritten;
      }
    } catch (error) {
      throw ioFailure('stage a layer', error);
    }
  }

  /** Ends writing; `digest` is told to whoever wants to hear it. An archive may stage thousands of files, so none stays open. */
  async finish(digest?: Digest): Promise<void> {
    await this.#close();
    if (digest !== undefined) await this.#onStaged?.(this, digest);
  }

  /** The bytes written so far. */
  read(): AsyncIterable<Uint8Array> {
    return createReadStream(this.path, { highWaterMark: READ_CHUNK_BYTES });
  }

  /** Makes the bytes durable, after `finish`. Calling it again is the same call: the system tells a failure of it only once. */
  sync(): Promise<void> {
    this.#synced ??= this.#sync();
    return this.#synced;
  }

  /** Tells that the file was renamed and is no longer this one's to remove. */
  moved(): void {
    this.#isHere = false;
  }

  /** Removes the file, unless it was kept or discarded already. One that cannot be removed is left for the sweep of the next open. */
  async discard(): Promise<void> {
    try {
      await this.#close();
      // Its outcome is of no interest any more, its file handle is.
      await this.#synced?.catch(() => undefined);
    } finally {
      if (this.#isHere) await rm(this.path, { force: true }).catch(leaveForSweep);
      this.#isHere = false;
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    try {
      await handle?.close();
    } catch (error) {
      throw ioFailure('stage a layer', error);
    }
  }

  async #sync(): Promise<void> {
    const handle = await open(this.path, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #open(): FileHandle {
    if (this.#handle === undefined) throw new TypeError('the staged file is closed');
    return this.#handle;
  }
}

function leaveForSweep(): void {
  // Nothing names the file: whoever staged it hears what became of the layer, and not of this.
}
