import { lstat, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isStoreError } from '../../errors.js';
import {
  inSystem,
  makeDurableDirectory,
  NotAFile,
  readRegularFile,
  syncDirectory,
  systemCode,
  unless,
} from '../files/files.js';
import { claimFolder, OWNER_FILE } from '../open/lock.js';
import { BLOB_FOLDER, CONTENT_FOLDER, PACK_FOLDER, ParallelWork, STAGING_FOLDER } from './backup-layout.js';
import { TILE_FOLDER } from '../open/sidecar.js';

/** Files checked concurrently. */
const LOOKS_AT_ONCE = 16;

/** Attempts to claim the staging folder while runs that end remove it. */
const MAX_CLAIM_TRIES = 100;

/** Contents of a file: whole, or in chunks produced while it is written. */
export type BackupBytes = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * The directory of a backup, for its single writer. A file appears under its name only once its
 * bytes are durable; names become durable together, by `sync`.
 */
export class BackupFolder {
  readonly directory: string;
  readonly #made = new Set<string>();
  readonly #unsynced = new Set<string>();
  #staged = 0;
  #release: (() => Promise<void>) | undefined;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Creates this run's staging folder; removes what a killed run left in it.
   * @throws {StoreError} STORE_LOCKED while another run writes to the directory
   */
  async begin(): Promise<void> {
    const staging = this.#path(STAGING_FOLDER);
    for (let tries = 1; this.#release === undefined; tries++) {
      await makeDurableDirectory(this.directory, STAGING_FOLDER);
      this.#release = await claimFolder(staging, `cannot back up to ${this.directory}`).catch((error: unknown) => {
        // The run that ends removes the folder under those that try to claim it.
        const isRace = isStoreError(error) && error.data['systemCode'] === 'ENOENT';
        if (!isRace || tries >= MAX_CLAIM_TRIES) throw error;
        return undefined;
      });
    }
    // The folder itself stays: it marks that an unfinished run may have left files.
    await this.#try('tidy', STAGING_FOLDER, async () => {
      const left = (await readdir(staging)).filter((name) => name !== OWNER_FILE);
      for (const name of left) await rm(join(staging, name), { recursive: true, force: true });
    });
  }

  /** Lets other runs begin, regardless of the outcome of this one. */
  async release(): Promise<void> {
    const release = this.#release;
    // Once only: the next claim there is another run's.
    this.#release = undefined;
    await release?.();
  }

  /** Removes the staging folder, and lets other runs begin. */
  async end(): Promise<void> {
    await this.#try('tidy', STAGING_FOLDER, async () => {
      const staging = this.#path(STAGING_FOLDER);
      for (const name of await readdir(staging)) {
        if (name !== OWNER_FILE) await rm(join(staging, name), { recursive: true, force: true });
      }
      await this.release();
      // Not empty: another run, which waited, has claimed it.
      await unless(['ENOTEMPTY', 'EEXIST', 'ENOENT'], 'tidy', () => rmdir(staging));
      await syncDirectory(this.directory);
    });
  }

  /** Sizes of the files below the folders of tiles, content, packs and blobs, by path with slashes. */
  async files(): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const looks = new ParallelWork(LOOKS_AT_ONCE);
    for (const folder of [TILE_FOLDER, CONTENT_FOLDER, PACK_FOLDER, BLOB_FOLDER]) {
      for (const path of await this.#filesBelow(folder)) {
        await looks.start(async () => {
          const { size } = await this.#try('inspect', path, () => lstat(this.#path(path)));
          sizes.set(path, size);
        });
      }
    }
    await looks.finish();
    return sizes;
  }

  /**
   * Reads a file, at most one byte more than `limit`; undefined when missing. A link counts as
   * missing: the next file of its name replaces it.
   */
  async read(path: string, limit: number): Promise<Uint8Array | undefined> {
    return readRegularFile(this.#path(path), { limitBytes: limit }).catch((error: unknown) => {
      if (error instanceof NotAFile) return undefined;
      throw error;
    });
  }

  /** Writes or replaces a file. Its bytes are durable on return, its name after the next `sync`. */
  async write(path: string, bytes: BackupBytes): Promise<void> {
    await this.#try('write', path, async () => {
      const staged = join(this.#path(STAGING_FOLDER), `${this.#staged++}`);
      await this.#makeFolder(dirname(path));
      try {
        await writeSynced(staged, bytes);
        // A crash before this line leaves a staged file, which the next run removes.
        await rename(staged, this.#path(path));
      } catch (error) {
        await rm(staged, { force: true });
        throw error;
      }
      this.#unsynced.add(dirname(path));
    });
  }

  /** Makes the names of all files written and removed so far durable. */
  async sync(): Promise<void> {
    const folders = [...this.#unsynced];
    this.#unsynced.clear();
    for (const folder of folders) await this.#try('sync', folder, () => syncDirectory(this.#path(folder)));
  }

  /** Removes a file and folders left empty, such as that of a partial tile that is now full. */
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
    const root = this.#path(folder);
    const list = () => readdir(root, { recursive: true, withFileTypes: true });
    const entries = (await unless(['ENOENT'], `read ${root}`, list)) ?? [];
    const below = (parent: string): string => parent.slice(root.length).replaceAll('\\', '/');
    return entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => `${folder}${below(parentPath)}/${name}`);
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#made.has(folder)) return;
    await makeDurableDirectory(this.directory, folder);
    this.#made.add(folder);
  }

  #path(path: string): string {
    return join(this.directory, path);
  }

  #try<Result>(action: string, path: string, work: () => Promise<Result>): Promise<Result> {
    return inSystem(`${action} ${this.#path(path)}`, work);
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
