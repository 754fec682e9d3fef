import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { type Digest, digestHex, isDigest } from '../../model/digest.js';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { NotAFile, readRegularFile } from '../files/regular-file.js';
import { BlobStore } from '../layers/blob-store.js';
import { CHECKPOINT_FILE } from '../open/checkpoint-keeper.js';
import { damagedLogs } from '../rebuild/log-folders.js';
import type { Reading, StoredBlob, StoredCheckpoint, StoredSnapshot } from './verify-source.js';
import type { Report } from './violation.js';

const BLOBS = join('blobs', 'sha256');
const SNAPSHOTS = 'snapshots';
/** How the files begin that a crash may leave behind; the next open removes them. */
const TEMPORARY = '.tmp-';

/** The files of a store, each kind as verification asks for it. Opens none of LevelDB's. */
export class StoreFiles {
  readonly #directory: string;
  readonly #blobs: BlobStore;

  constructor(directory: string) {
    this.#directory = directory;
    this.#blobs = new BlobStore(join(directory, 'blobs'));
  }

  /** Resolves with the newest checkpoint as it stands, if there is one. @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE */
  async checkpoint(): Promise<StoredCheckpoint | undefined> {
    const text = await this.#read(CHECKPOINT_FILE, MAX_NOTE_BYTES);
    return text === undefined ? undefined : { text, place: CHECKPOINT_FILE };
  }

  /** Resolves with the snapshots that are there at this call. @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE */
  async snapshots(): Promise<StoredSnapshot[]> {
    const names = await this.#namesIn(SNAPSHOTS);
    return names
      .filter((name) => !name.startsWith(TEMPORARY))
      .map((name) => ({ name, read: () => this.#read(join(SNAPSHOTS, name)) }));
  }

  /**
   * Returns the names of the damaged logs that rebuilds put aside.
   * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
   */
  damagedLogs(): string[] {
    return damagedLogs(this.#directory);
  }

  /** Gives the blobs. @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE */
  async *blobs(): AsyncGenerator<StoredBlob> {
    for (const name of await this.#namesIn(BLOBS)) {
      const digest = `sha256:${name}`;
      if (!isDigest(digest)) continue;
      const size = await this.#sizeOf(digest);
      if (size === undefined) continue;
      yield { digest, size, place: `blobs/sha256/${name}`, read: () => this.#blobs.read(digest) };
    }
  }

  /** Reports files that no blob has the name of. */
  async reportStrays({ report }: Reading): Promise<void> {
    for (const name of await this.#namesIn(BLOBS)) if (!isDigest(`sha256:${name}`)) reportStray(name, report);
  }

  async #namesIn(folder: string): Promise<string[]> {
    const path = join(this.#directory, folder);
    try {
      return (await readdir(path)).sort();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw ioFailure(`read ${path}`, error);
    }
  }

  async #sizeOf(digest: Digest): Promise<number | undefined> {
    const path = join(this.#directory, BLOBS, digestHex(digest));
    try {
      return (await lstat(path)).size;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw ioFailure(`read ${path}`, error);
    }
  }

  async #read(file: string, limitBytes?: number): Promise<Uint8Array | undefined> {
    const path = join(this.#directory, file);
    // What is no file is reported as one that is damaged.
    return readRegularFile(path, limitBytes === undefined ? {} : { limitBytes }).catch((error: unknown) => {
      if (error instanceof NotAFile) return new Uint8Array(0);
      throw error;
    });
  }
}

function reportStray(name: string, report: Report): void {
  const place = `blobs/sha256/${name}`;
  report({ code: 'FILE_UNKNOWN', place, message: `no blob has the name of the file ${place}` });
}
