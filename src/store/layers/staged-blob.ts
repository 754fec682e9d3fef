import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { ioFailure } from '../files/durable-file.js';

/** Bytes of a chunk that is read back. */
const READ_CHUNK_BYTES = 256 * 1024;

/** A file below `blobs/staging/` that is being written, or waits to be kept or discarded. */
export class StagedBlob {
  readonly path: string;
  #handle: FileHandle | undefined;
  #isHere = true;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Makes an empty file at `path`. @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED */
  static async create(path: string): Promise<StagedBlob> {
    try {
      return new StagedBlob(path, await open(path, 'wx'));
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

  /** Ends writing. An archive may stage thousands of files, so none stays open. */
  async finish(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    try {
      await handle?.close();
    } catch (error) {
      throw ioFailure('stage a layer', error);
    }
  }

  /** The bytes written so far. */
  read(): AsyncIterable<Uint8Array> {
    return createReadStream(this.path, { highWaterMark: READ_CHUNK_BYTES });
  }

  /** Makes the bytes durable, after `finish`. */
  async sync(): Promise<void> {
    const handle = await open(this.path, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Tells that the file was renamed and is no longer this one's to remove. */
  moved(): void {
    this.#isHere = false;
  }

  /** Removes the file, unless it was kept or discarded already. One that cannot be removed is left for the sweep of the next open. */
  async discard(): Promise<void> {
    try {
      await this.finish();
    } finally {
      if (this.#isHere) await rm(this.path, { force: true }).catch(leaveForSweep);
      this.#isHere = false;
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
