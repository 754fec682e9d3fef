import { throwIfAborted } from '../../abort.js';
import { parseTilePath } from '../../log/merkle/tile.js';
import type { BackupOptions } from './backup.js';
import type { BackupBytes, BackupFolder } from './backup-folder.js';
import { BLOB_FOLDER, CONTENT_FOLDER, digestOfName } from './backup-layout.js';
import { ParallelWork } from './parallel-work.js';

/** Files that are written side by side: most of the time goes into syncs. */
const WRITES_AT_ONCE = 8;

/** What one run of a backup did to its files. Sizes are bytes. */
export interface WrittenFiles {
  readonly filesWritten: number;
  readonly bytesWritten: number;
  readonly filesRemoved: number;
  readonly files: number;
  readonly bytes: number;
}

/** Writes the files that a backup lacks, and knows in the end which ones it does not need. */
export class BackupWriter {
  readonly #folder: BackupFolder;
  readonly #options: BackupOptions;
  readonly #work = new ParallelWork(WRITES_AT_ONCE);
  /** Sizes of the files that are there. */
  readonly #there: Map<string, number>;
  readonly #needed = new Set<string>();
  readonly #written = { files: 0, bytes: 0 };
  readonly #progress = { done: 0, total: 0 };
  #removed = 0;

  /** Writes to `folder`, which has the files `there`. */
  constructor(folder: BackupFolder, there: Map<string, number>, options: BackupOptions) {
    this.#folder = folder;
    this.#there = there;
    this.#options = options;
  }

  /** Sizes of the files that are there, by path. */
  get there(): ReadonlyMap<string, number> {
    return this.#there;
  }

  /** Takes note that the backup has a file of this path when it is done. */
  need(path: string): void {
    this.#needed.add(path);
  }

  /** Takes note of bytes that will come, so that the progress has its total. */
  expect(bytes: number): void {
    this.#progress.total += bytes;
  }

  /** Takes note of bytes that came or turned out to be there. */
  advance(bytes: number): void {
    this.#progress.done += bytes;
    this.#options.onProgress?.(this.#progress.done, this.#progress.total);
  }

  /** Starts to write a file, unless it has these bytes already: then it stays the file that it is. */
  async start(path: string, bytes: Uint8Array): Promise<void> {
    throwIfAborted(this.#options.signal);
    this.expect(bytes.length);
    await this.#work.start(() => this.put(path, bytes));
  }

  /** Starts to write a file of this size from chunks, which the caller counts with `advance`. */
  async startCopy(path: string, chunks: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    throwIfAborted(this.#options.signal);
    await this.#work.start(() => this.#write(path, chunks, size));
  }

  /** Resolves when all that was started is written, its bytes and names durable. Throws the first failure. */
  async finish(): Promise<void> {
    await this.#work.finish();
    await this.#folder.sync();
  }

  /** Resolves when nothing that was started is under way any more, whatever became of it. */
  async settle(): Promise<void> {
    await this.#work.settle();
  }

  /** Writes a file as `start` does, and resolves when its bytes are durable. */
  async put(path: string, bytes: Uint8Array): Promise<void> {
    const found = await this.#folder.read(path, bytes.length);
    this.need(path);
    if (found !== undefined && Buffer.compare(found, bytes) === 0) this.#there.set(path, bytes.length);
    else await this.#write(path, bytes, bytes.length);
    this.advance(bytes.length);
  }

  /** Removes the files that the backup does not need; what is not a backup's stays. */
  async removeUnneeded(): Promise<void> {
    for (const path of [...this.#there.keys()]) {
      if (this.#needed.has(path) || !isBackupPath(path)) continue;
      await this.#folder.remove(path);
      this.#there.delete(path);
      this.#removed += 1;
    }
    await this.#folder.sync();
  }

  numbers(): WrittenFiles {
    let bytes = 0;
    for (const path of this.#needed) bytes += this.#there.get(path) ?? 0;
    return {
      filesWritten: this.#written.files,
      bytesWritten: this.#written.bytes,
      filesRemoved: this.#removed,
      files: this.#needed.size,
      bytes,
    };
  }

  async #write(path: string, bytes: BackupBytes, size: number): Promise<void> {
    await this.#folder.write(path, bytes);
    this.#there.set(path, size);
    this.#written.files += 1;
    this.#written.bytes += size;
  }
}

function isBackupPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (path === `${CONTENT_FOLDER}/${name}` || path === `${BLOB_FOLDER}/${name}`)
    return digestOfName(name) !== undefined;
  return parseTilePath(path) !== undefined;
}
