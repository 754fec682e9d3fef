import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_OPEN_PACKS } from '../../limits.js';
import { ioFailure, openRegularFile } from '../files/files.js';

/** Reads contents of packs in any order. Holds the last MAX_OPEN_PACKS open; the caller disposes it. */
export class OpenPacks implements AsyncDisposable {
  readonly #directory: string;
  /** By path, the longest unused first. */
  readonly #files = new Map<string, FileHandle>();

  /** Reads packs below the directory of a backup. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads `size` bytes from `offset` on of the pack at `path`, fewer when it ends before.
   * @throws {StoreError} IO_FAILED
   */
  async read(path: string, offset: number, size: number): Promise<Uint8Array> {
    try {
      const file = await this.#open(path);
      const bytes = new Uint8Array(size);
      const { bytesRead } = await file.read(bytes, 0, size, offset);
      return bytes.subarray(0, bytesRead);
    } catch (error) {
      throw ioFailure(`read ${join(this.#directory, path)}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
  }

  async #open(path: string): Promise<FileHandle> {
    const file = this.#files.get(path) ?? (await openRegularFile(join(this.#directory, path)));
    this.#files.delete(path);
    this.#files.set(path, file);
    const [[oldest, unused] = []] = this.#files;
    if (this.#files.size > MAX_OPEN_PACKS && oldest !== undefined) {
      this.#files.delete(oldest);
      await unused?.close();
    }
    return file;
  }
}
