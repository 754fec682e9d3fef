import { lstat, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ioFailure, makeDurableDirectory, syncDirectory, systemCode } from '../files/durable-file.js';
import { NotAFile, readRegularFile } from '../files/regular-file.js';
import { BLOB_FOLDER, CONTENT_FOLDER, STAGING_FOLDER, TILE_FOLDER } from './backup-layout.js';
import { ParallelWork } from './parallel-work.js';

/** Files that are looked at side by side. */
const LOOKS_AT_ONCE = 16;

/** What a file is made of: at once, or in pieces that come while it is written. */
export type BackupBytes = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * The directory of a backup, for its one writer. A file appears under its name only when its bytes are durable; the names
 * become durable together, with `sync`.
 */
export class BackupFolder {
  readonly directory: string;
  readonly #made = new Set<string>();
  readonly #unsynced = new Set<string>();
  #staged = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the place for files that are being written; what a killed backup left in it is removed. */
  async begin(): Promise<void> {
    const staging = this.#path(STAGING_FOLDER);
    await makeDurableDirectory(this.directory, STAGING_FOLDER);
    // The folder itself stays: it is what says that there may be files of a run that was not finished.
    await this.#try('tidy', STAGING_FOLDER, async () => {
      for (const name of await readdir(staging)) await rm(join(staging, name), { recursive: true, force: true });
    });
  }

  /** Removes the place for files that are being written. */
  async end(): Promise<void> {
    await this.#try('tidy', STAGING_FOLDER, async () => {
      await rm(this.#path(STAGING_FOLDER), { recursive: true, force: true });
      await syncDirectory(this.directory);
    });
  }

  /** Sizes of the files below the folders of tiles, content and blobs, by path with slashes. */
  async files(): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const looks = new ParallelWork(LOOKS_AT_ONCE);
    for (const folder of [TILE_FOLDER, CONTENT_FOLDER, BLOB_FOLDER]) {
      for (const path of await this.#filesBelow(folder)) {
        await looks.start(() =>
          this.#try('look at', path, async () => {
            sizes.set(path, (await lstat(this.#path(path))).size);
          }),
        );
      }
    }
    await looks.finish();
    return sizes;
  }

  /**
   * Bytes of a file, one more than `limit` of a larger one; undefined when there is no file. A link
   * counts as no file: the next file of its name replaces it.
   */
  async read(path: string, limit: number): Promise<Uint8Array | undefined> {
    return readRegularFile(this.#path(path), { limitBytes: limit }).catch((error: unknown) => {
      if (error instanceof NotAFile) return undefined;
      throw error;
    });
  }

  /** Writes a file over any that has its name. Its bytes are durable on return; its name is with the next `sync`. */
  async write(path: string, bytes: BackupBytes): Promise<void> {
    await this.#try('write', path, async () => {
      const staged = join(this.#path(STAGING_FOLDER), `${this.#staged++}`);
      await this.#makeFolder(dirname(path));
      try {
        await writeSynced(staged, bytes);
        // A crash before this line leaves a staged file, which the next run removes; after it, one that is whole.
        await rename(staged, this.#path(path));
      } catch (error) {
        await rm(staged, { force: true });
        throw error;
      }
      this.#unsynced.add(dirname(path));
    });
  }

  /** Makes the names of all files that were written and removed so far durable. */
  async sync(): Promise<void> {
    const folders = [...this.#unsynced];
    this.#unsynced.clear();
    for (const folder of folders) await this.#try('sync', folder, () => syncDirectory(this.#path(folder)));
  }

  /** Removes a file, and the folders that are empty then, as that of a tile which is full by now. */
  async remove(path: string): Promise<void> {
    await this.#try('remove', path, async () => {
      await rm(this.#path(path), { force: true });
      let folder = dirname(path);
      while (folder !== '.' && (await isRemoved(this.#path(folder)))) {
        this.#made.delete(folder);
        this.#unsynced.delete(folder);
        folder = dirname(folder);
      }
      this.#unsynced.add(folder);
    });
  }

  async #filesBelow(folder: string): Promise<string[]> {
    return this.#try('read', folder, async () => {
      try {
        const root = this.#path(folder);
        const entries = await readdir(root, { recursive: true, withFileTypes: true });
        const below = (parent: string): string => parent.slice(root.length).replaceAll('\\', '/');
        return entries
          .filter((entry) => entry.isFile())
          .map((entry) => `${folder}${below(entry.parentPath)}/${entry.name}`);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return [];
        throw error;
      }
    });
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#made.has(folder)) return;
    await makeDurableDirectory(this.directory, folder);
    this.#made.add(folder);
  }

  #path(path: string): string {
    return join(this.directory, path);
  }

  async #try<Result>(action: string, path: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw ioFailure(`${action} ${this.#path(path)}`, error);
    }
  }
}

async function writeSynced(path: string, bytes: BackupBytes): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await writeFile(file, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function isRemoved(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error))) return false;
    throw error;
  }
}
