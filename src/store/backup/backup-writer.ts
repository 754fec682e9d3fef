import { throwIfAborted } from '../../errors.js';
import { parseTilePath } from '../../log/merkle.js';
import { equalBytes } from '../../model/bytes.js';
import type { BackupBytes, BackupFolder } from './backup-folder.js';
import {
  type BackupOptions,
  type BackupReport,
  BLOB_FOLDER,
  CONTENT_FOLDER,
  digestOfName,
  PACK_FOLDER,
  ParallelWork,
} from './backup-layout.js';

/** Files written concurrently: most of the time goes into syncs. */
const WRITES_AT_ONCE = 8;

/** Writes the files that a backup lacks, and tracks which ones it needs. */
export class BackupWriter {
  readonly #folder: BackupFolder;
  readonly #options: BackupOptions;
  readonly #work = new ParallelWork(WRITES_AT_ONCE);
  /** Sizes of the existing files, by path. */
  readonly there: Map<string, number>;
  readonly #needed = new Set<string>();
  readonly #written = { files: 0, bytes: 0 };
  readonly #progress = { done: 0, total: 0 };
  #removed = 0;

  constructor(folder: BackupFolder, there: Map<string, number>, options: BackupOptions) {
    this.#folder = folder;
    this.there = there;
    this.#options = options;
  }

  get directory(): string {
    return this.#folder.directory;
  }

  /** Marks a path as part of the finished backup. */
  need(path: string): void {
    this.#needed.add(path);
  }

  /** Adds expected bytes to the progress total. */
  expect(bytes: number): void {
    this.#progress.total += bytes;
  }

  /** Counts bytes written or found to exist. */
  advance(bytes: number): void {
    this.#progress.done += bytes;
    this.#options.onProgress?.(this.#progress.done, this.#progress.total);
  }

  /** Starts to write a file; a no-op when it has these bytes already. */
  async start(path: string, bytes: Uint8Array): Promise<void> {
    throwIfAborted(this.#options.signal);
    this.expect(bytes.length);
    await this.#work.start(() => this.#put(path, bytes));
  }

  /** Starts to write a file of this size from chunks, which the caller counts with `advance`. */
  async startCopy(path: string, chunks: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    throwIfAborted(this.#options.signal);
    await this.#work.start(() => this.#write(path, chunks, size));
  }

  /** Resolves when all started files and their names are durable. Throws the first failure. */
  async finish(): Promise<void> {
    await this.#work.finish();
    await this.#folder.sync();
  }

  /** Resolves when all started work has ended, with success or failure. */
  settle(): Promise<void> {
    return this.#work.settle();
  }

  /** Writes a file as `start` does, and resolves when its bytes are durable. */
  async put(path: string, bytes: Uint8Array): Promise<void> {
    this.expect(bytes.length);
    await this.#put(path, bytes);
  }

  /** Removes files that the backup does not need; foreign files stay. */
  async removeUnneeded(): Promise<void> {
    for (const path of [...this.there.keys()]) {
      if (this.#needed.has(path) || !isBackupPath(path)) continue;
      await this.#folder.remove(path);
      this.there.delete(path);
      this.#removed += 1;
    }
    await this.#folder.sync();
  }

  numbers(): Pick<BackupReport, 'filesWritten' | 'bytesWritten' | 'filesRemoved' | 'files' | 'bytes'> {
    let bytes = 0;
    for (const path of this.#needed) bytes += this.there.get(path) ?? 0;
    return {
      filesWritten: this.#written.files,
      bytesWritten: this.#written.bytes,
      filesRemoved: this.#removed,
      files: this.#needed.size,
      bytes,
    };
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const isNew = isBackupPath(path) && !this.there.has(path);
    const found = isNew ? undefined : await this.#folder.read(path, bytes.length);
    this.need(path);
    if (found !== undefined && equalBytes(found, bytes)) this.there.set(path, bytes.length);
    else await this.#write(path, bytes, bytes.length);
    this.advance(bytes.length);
  }

  async #write(path: string, bytes: BackupBytes, size: number): Promise<void> {
    await this.#folder.write(path, bytes);
    this.there.set(path, size);
    this.#written.files += 1;
    this.#written.bytes += size;
  }
}

function isBackupPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const isNamedByDigest = [CONTENT_FOLDER, PACK_FOLDER, BLOB_FOLDER].some((folder) => path === `${folder}/${name}`);
  if (isNamedByDigest) return digestOfName(name) !== undefined;
  return parseTilePath(path) !== undefined;
}
