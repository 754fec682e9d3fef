import { lstat, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_RECORD_BYTES } from '../../limits.js';
import { entriesPath, LENGTH_BYTES, parseEntries, type Tile, tilePath, TILE_WIDTH } from '../../log/merkle/tile.js';
import { HASH_BYTES } from '../../model/digest.js';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { openRegularFile, readRegularFile } from '../files/regular-file.js';

/** Bytes of a chunk that is read from a blob. */
const READ_CHUNK_BYTES = 256 * 1024;
/** Bytes of the largest bundle of entries. */
const MAX_BUNDLE_BYTES = TILE_WIDTH * (LENGTH_BYTES + MAX_RECORD_BYTES);

/** Reads the files of a backup, which somebody else may have changed: none is taken into memory that is larger than it can be. */
export class BackupReader {
  readonly directory: string;
  readonly #onBytes: (bytes: number) => void;

  /** Reads below `directory`; `onBytes` is called with each number of bytes that was read. */
  constructor(directory: string, onBytes: (bytes: number) => void = () => undefined) {
    this.directory = directory;
    this.#onBytes = onBytes;
  }

  /**
   * Resolves with the bytes of a file of at most `limit` bytes.
   * @throws {StoreError} BACKUP_INVALID when it is missing, no file, or larger; IO_FAILED, STORE_NOT_WRITABLE
   */
  async file(path: string, limit: number): Promise<Uint8Array> {
    const size = await this.size(path);
    if (size === undefined) throw invalid(path, 'is missing');
    if (size > limit) throw invalid(path, `has ${size} bytes, expected ${limit} at most`);
    const bytes = await readRegularFile(join(this.directory, path), { limitBytes: size });
    if (bytes === undefined) throw invalid(path, 'is missing');
    if (bytes.length > size) throw invalid(path, `grew beyond ${size} bytes while it was read`);
    this.#onBytes(bytes.length);
    return bytes;
  }

  /**
   * Resolves with the hashes of a tile.
   * @throws {StoreError} BACKUP_INVALID when its file is missing or of another size; IO_FAILED
   */
  async tile(tile: Tile): Promise<Uint8Array> {
    const path = tilePath(tile);
    const size = tile.width * HASH_BYTES;
    const bytes = await this.file(path, size);
    if (bytes.length < size) throw invalid(path, `has ${bytes.length} bytes, expected ${size}`);
    return bytes;
  }

  /**
   * Resolves with the records of a bundle, as many as it has.
   * @throws {StoreError} BACKUP_INVALID when its file is missing, cut short or too large; IO_FAILED
   */
  async records(index: number, width: number): Promise<Uint8Array[]> {
    const path = entriesPath(index, width);
    const bytes = await this.file(path, MAX_BUNDLE_BYTES);
    try {
      return parseEntries(bytes);
    } catch (cause) {
      throw invalid(path, cause instanceof Error ? `cannot be read: ${cause.message}` : 'cannot be read', cause);
    }
  }

  /** Gives the bytes of a file in chunks, as they are. @throws {StoreError} IO_FAILED */
  async *chunks(path: string): AsyncGenerator<Uint8Array> {
    try {
      const file = await openRegularFile(join(this.directory, path));
      for await (const chunk of file.createReadStream({
        highWaterMark: READ_CHUNK_BYTES,
      }) as AsyncIterable<Uint8Array>) {
        this.#onBytes(chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw ioFailure(`read ${join(this.directory, path)}`, error);
    }
  }

  /**
   * Resolves with the size of a file; undefined when there is none. A link is no file: what it leads to is not part of the backup.
   * @throws {StoreError} BACKUP_INVALID when something else has its name; IO_FAILED
   */
  async size(path: string): Promise<number | undefined> {
    return this.#reading(path, async () => {
      try {
        const stats = await lstat(join(this.directory, path));
        if (!stats.isFile()) throw invalid(path, 'is no file');
        return stats.size;
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return undefined;
        throw error;
      }
    });
  }

  /** Resolves with the paths of all that is no directory below a folder, with slashes and sorted; none when there is no such folder. */
  async paths(folder: string): Promise<string[]> {
    return this.#reading(folder, async () => {
      try {
        const entries = await readdir(join(this.directory, folder), { recursive: true, withFileTypes: true });
        const files = entries.filter((entry) => !entry.isDirectory());
        return files.map((entry) => this.#pathOf(join(entry.parentPath, entry.name))).sort();
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return [];
        throw error;
      }
    });
  }

  #pathOf(whole: string): string {
    return relative(this.directory, whole).split(sep).join('/');
  }

  async #reading<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw ioFailure(`read ${join(this.directory, path)}`, error);
    }
  }
}

function invalid(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('BACKUP_INVALID', `the file ${path} of the backup ${why}`, { cause, data: { path } });
}
