import { lstat, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { equalBytes } from '../../model/bytes.js';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import {
  inSystem,
  makeDurableDirectory,
  NotAFile,
  readRegularFile,
  syncDirectory,
  systemCode,
  unless,
} from '../files/files.js';
import {
  type BackupOptions,
  type BackupReport,
  BLOB_FOLDER,
  blobPath,
  CHECKPOINT_PATH,
  CONTENT_FOLDER,
  contentPath,
  digestOfName,
  needTarget,
  ParallelWork,
  STAGING_FOLDER,
  TILE_FOLDER,
} from './backup-layout.js';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { parseTilePath, treeRoot } from '../../log/merkle.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { type Checkpoint, parseCheckpoint } from '../../log/checkpoint.js';
import type { ContentReader, Head } from '../../log/log.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { claimFolder, OWNER_FILE } from '../open/lock.js';
import { checkLockTimeout, whenUnlocked } from '../open/lock-wait.js';
import { readSidecarBytes, SIDECAR_FILE } from '../open/sidecar.js';
import { treeFiles, treePaths } from './backup-tiles.js';

/** Files checked concurrently. */
const LOOKS_AT_ONCE = 16;

/** Attempts to claim the staging folder while runs that end remove it. */
const MAX_CLAIM_TRIES = 100;

/** Contents of a file: whole, or in chunks produced while it is written. */
type BackupBytes = Uint8Array | AsyncIterable<Uint8Array>;

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

  /** Sizes of the files below the folders of tiles, content and blobs, by path with slashes. */
  async files(): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const looks = new ParallelWork(LOOKS_AT_ONCE);
    for (const folder of [TILE_FOLDER, CONTENT_FOLDER, BLOB_FOLDER]) {
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

/** Files written concurrently: most of the time goes into syncs. */
const WRITES_AT_ONCE = 8;

/** Writes the files that a backup lacks, and tracks which ones it needs. */
class BackupWriter {
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
    await this.#work.start(() => this.put(path, bytes));
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
    const found = await this.#folder.read(path, bytes.length);
    this.need(path);
    if (found !== undefined && equalBytes(found, bytes)) this.there.set(path, bytes.length);
    else await this.#write(path, bytes, bytes.length);
    this.advance(bytes.length);
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

  async #write(path: string, bytes: BackupBytes, size: number): Promise<void> {
    await this.#folder.write(path, bytes);
    this.there.set(path, size);
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

/** Snapshot of a store at one head. What it names stays readable until released. */
interface FixedStore {
  readonly head: Head;
  readonly content: ContentReader;
  /** Layer files that the store needs, with their sizes. */
  readonly blobs: ReadonlyMap<Digest, number>;
}

// In one turn: head, content and blobs are of one moment, and stay for the backup.
function fixedNow({ log, views, blobs }: StoreContext): FixedStore {
  const needed = new Map([...views.blobs.byDigest].map(([digest, { size }]) => [digest, size]));
  const content = log.openContent();
  for (const digest of needed.keys()) blobs.pin(digest);
  return { head: log.head, content, blobs: needed };
}

// A command is decided after all earlier appends are folded, and before any later one.
async function fixedWhenStill(context: StoreContext): Promise<FixedStore> {
  if (context.readOnly) return fixedNow(context);
  return context.submit(() => ({ events: [], result: fixedNow(context) }));
}

async function release({ content, blobs: needed }: FixedStore, { blobs, isBlobNeeded }: StoreContext): Promise<void> {
  try {
    await content.close();
  } finally {
    for (const digest of needed.keys()) blobs.unpin(digest);
    await blobs.removeUnneeded(needed.keys(), isBlobNeeded);
  }
}

/**
 * Writes what the store has at its head and the backup in `target` lacks. Throws BACKUP_FOREIGN,
 * FILE_EXISTS, CHECKPOINT_FORKED and BACKUP_INVALID for a target that must not be written to, and
 * the errors of reading the store. Only one backup of a store may run at a time.
 */
export async function writeBackup(
  target: string,
  options: BackupOptions,
  context: StoreContext,
): Promise<BackupReport> {
  throwIfAborted(options.signal);
  checkLockTimeout(options.lockTimeoutMs);
  const { directory, sidecar, checkpoints, readOnly } = context;
  const sidecarBytes = await readOwnSidecar(directory);
  const folder = new BackupFolder(await needTarget(target, context, sidecarBytes));
  const fixed = await fixedWhenStill(context);
  try {
    const { head } = fixed;
    const checkpoint = readOnly ? checkpoints.unwritten() : await checkpoints.at(head);
    await sizeOfFormer(folder, head, context);
    await whenUnlocked(() => folder.begin(), options);
    // Another run may have ended since: from here on this is the only one.
    const knownSize = await sizeOfFormer(folder, head, context);
    const writer = new BackupWriter(folder, await folder.files(), options);
    // The sidecar comes first: it marks the directory as a backup of this store.
    await writer.put(SIDECAR_FILE, sidecarBytes);
    await writer.finish();
    await writeData(writer, fixed, { knownSize, context, signal: options.signal });
    throwIfAborted(options.signal);
    // A crash up to here leaves the former backup, with extra files that the next run takes over.
    // The checkpoint commits to everything there now: once its name is durable, this backup counts.
    await writer.put(CHECKPOINT_PATH, new TextEncoder().encode(checkpoint));
    await writer.finish();
    // A crash from here on leaves unneeded files, which the next run removes.
    await writer.removeUnneeded();
    await folder.end();
    return { directory: folder.directory, storeId: sidecar.storeId, events: head.seq, checkpoint, ...writer.numbers() };
  } finally {
    await folder.release();
    await release(fixed, context);
  }
}

interface DataOptions {
  readonly knownSize: number;
  readonly context: StoreContext;
  readonly signal: AbortSignal | undefined;
}

/** Writes everything that the checkpoint will commit to; durable on return. */
async function writeData(
  writer: BackupWriter,
  fixed: FixedStore,
  { knownSize, context: { log, blobs }, signal }: DataOptions,
): Promise<void> {
  const { head } = fixed;
  try {
    const missing = [...fixed.blobs].filter(([digest, size]) => writer.there.get(blobPath(digest)) !== size);
    for (const [, size] of missing) writer.expect(size);
    await writeContent(writer, fixed.content);
    for (const path of treePaths(head.seq)) writer.need(path);
    for await (const { path, bytes } of treeFiles({ log, head, knownSize, files: writer.there, signal })) {
      await writer.start(path, bytes);
    }
    for (const digest of fixed.blobs.keys()) writer.need(blobPath(digest));
    for (const [digest, size] of missing) {
      const onBytes = (bytes: number): void => writer.advance(bytes);
      const failure = (found: number): StoreError => blobCorrupt(digest, size, found);
      const blob = checkedBlob(blobs.read(digest), { digest, size, signal, onBytes, failure });
      await writer.startCopy(blobPath(digest), blob, size);
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
}

async function writeContent(writer: BackupWriter, content: ContentReader): Promise<void> {
  for await (const page of content.pages()) {
    for (const { digest, bytes } of page) {
      const path = contentPath(digest);
      writer.need(path);
      if (writer.there.get(path) === bytes.length) continue;
      if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
      await writer.start(path, bytes);
    }
  }
  // Lets erasure from now on free disk space that this reader would pin.
  await content.close();
}

interface ExpectedBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly signal: AbortSignal | undefined;
  readonly onBytes?: (bytes: number) => void;
  /** Returns the error for a mismatch after `found` bytes. */
  readonly failure: (found: number) => StoreError;
}

/** Streams a blob, and throws at the end when the bytes do not match its digest. */
export async function* checkedBlob(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size, signal, onBytes, failure }: ExpectedBlob,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of chunks) {
    throwIfAborted(signal);
    length += chunk.length;
    // A sparse file of a terabyte would keep this reading.
    if (length > size) break;
    hash.update(chunk);
    yield chunk;
    onBytes?.(chunk.length);
  }
  if (length !== size || digestFromHash(hash.digest()) !== digest) throw failure(length);
}

function blobCorrupt(digest: Digest, size: number, found: number): StoreError {
  const shown = found > size ? 'more' : `${found} bytes`;
  return new StoreError(
    'BLOB_CORRUPT',
    `cannot back up the layer blob ${digest}: its file has ${shown}, expected ${size} bytes of this digest`,
    { data: { digest, size, found } },
  );
}

/** Resolves with the tree size of the existing backup, with which the log must begin. */
async function sizeOfFormer(folder: BackupFolder, head: Head, { log, sidecar }: StoreContext): Promise<number> {
  const { directory } = folder;
  const bytes = await folder.read(CHECKPOINT_PATH, MAX_NOTE_BYTES);
  if (bytes === undefined) return 0;
  const { origin, size, root } = formerCheckpoint(bytes, directory);
  const forked = (why: string): StoreError =>
    new StoreError('CHECKPOINT_FORKED', `cannot back up to ${directory}: ${why}`, {
      data: { directory, found: { origin, size }, expected: { origin: sidecar.origin, size: head.seq } },
    });
  if (origin !== sidecar.origin) throw forked(`its checkpoint is of the log ${origin}, expected ${sidecar.origin}`);
  if (size > head.seq) throw forked(`the backup has ${size} events, the log only ${head.seq}`);
  if (equalBytes(await treeRoot(log, size), root)) return size;
  throw forked(`the ${size} events of the backup are not those that the log begins with`);
}

function formerCheckpoint(bytes: Uint8Array, directory: string): Checkpoint {
  try {
    return parseCheckpoint(bytes);
  } catch (cause) {
    if (!isStoreError(cause, 'CHECKPOINT_INVALID')) throw cause;
    throw new StoreError('BACKUP_INVALID', `cannot back up to ${directory}: its checkpoint is damaged`, {
      cause,
      data: { directory },
    });
  }
}

async function readOwnSidecar(directory: string): Promise<Uint8Array> {
  const bytes = await readSidecarBytes(directory);
  if (bytes !== undefined) return bytes;
  const message = `cannot back up the store ${directory}: its ${SIDECAR_FILE} is missing`;
  throw new StoreError('SIDECAR_INVALID', message, { data: { directory } });
}

function contentCorrupt(digest: Digest): StoreError {
  return new StoreError('CONTENT_CORRUPT', `cannot back up the content ${digest}: its bytes have another digest`, {
    data: { digest },
  });
}
