import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { type Digest, digestHex, isDigest } from '../../model/digest.js';
import { ioFailure, makeDurableDirectory, namesIn, systemCode } from '../files/files.js';
import { parseSidecar, readSidecarBytes, type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import { StoreError } from '../../errors.js';

/** How a backup is written. */
export interface BackupOptions {
  /** Called as bytes are written. `total` grows while the log is read, as nobody knows before how long its events are. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a backup came to. Sizes are bytes. */
export interface BackupReport {
  /** Absolute path of the backup. */
  readonly directory: string;
  readonly storeId: string;
  /** Events of the backup: those up to the head when it began. */
  readonly events: number;
  /** Text of its checkpoint. */
  readonly checkpoint: string;
  /** Files that were written: what the backup before had is not written again. */
  readonly filesWritten: number;
  readonly bytesWritten: number;
  /** Files that were removed: tiles that are full by now, and what the store no longer has. */
  readonly filesRemoved: number;
  /** All files of the backup. */
  readonly files: number;
  readonly bytes: number;
}

/** How a backup is restored. */
export interface RestoreOptions {
  /** Texts of checkpoints that the backup must contain, beside its own; signed or not. */
  readonly against?: string | readonly string[] | undefined;
  /** The key (Go note format: `NAME+hash+key`) that must have signed each checkpoint. */
  readonly key?: string | undefined;
  /** Called as bytes are read, first to verify the backup and then to write the store; `total` is of both. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  /** Called with what is no damage but should be known: an interrupted run left files. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a restore brought. */
export interface RestoreReport {
  /** Absolute path of the store. */
  readonly directory: string;
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
  readonly events: number;
  /** Text of the checkpoint that the store has now. */
  readonly checkpoint: string;
  /** Layer files and their bytes. */
  readonly blobs: number;
  readonly blobBytes: number;
}

/*
 * Where things stand below the directory of a backup. `checkpoint` and `tile/` are those of C2SP tlog-tiles; the sidecar
 * has the name that it has in a store.
 */

/** The text that commits to the events of the backup: without it there is no backup yet. */
export const CHECKPOINT_PATH = 'checkpoint';
/** What holds tiles and bundles of entries. */
export const TILE_FOLDER = 'tile';
/** What holds image configs, manifests and indexes. */
export const CONTENT_FOLDER = 'content/sha256';
/** What holds layer files. */
export const BLOB_FOLDER = 'blobs/sha256';
/** What holds files that are being written, while a backup runs; one that was killed leaves it. */
export const STAGING_FOLDER = '.staging';

/** Returns the path of content in a backup. */
export function contentPath(digest: Digest): string {
  return `${CONTENT_FOLDER}/${digestHex(digest)}`;
}

/** Returns the path of a layer file in a backup. */
export function blobPath(digest: Digest): string {
  return `${BLOB_FOLDER}/${digestHex(digest)}`;
}

/** Returns the digest that the name of a file below CONTENT_FOLDER or BLOB_FOLDER stands for; undefined for a name that none has. */
export function digestOfName(name: string): Digest | undefined {
  const digest = `sha256:${name}`;
  return isDigest(digest) ? digest : undefined;
}

/** What stands in a backup whatever store it is of, from the top down. */
const FIXED_PLACES = [
  SIDECAR_FILE,
  STAGING_FOLDER,
  TILE_FOLDER,
  dirname(CONTENT_FOLDER),
  CONTENT_FOLDER,
  dirname(BLOB_FOLDER),
  BLOB_FOLDER,
] as const;

/**
 * Resolves with the path of each folder of a backup, and of its sidecar, that is a link. What it leads to is not part of the backup: it may be
 * gone when the backup is needed, and files of somebody else may be removed through it.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function linksIn(directory: string): Promise<string[]> {
  const links: string[] = [];
  for (const place of FIXED_PLACES) if (await isLink(join(directory, place))) links.push(place);
  return links;
}

/** Whether `path` is a link, dangling or not. @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE */
async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return false;
    throw ioFailure(`look at ${path}`, error);
  }
}

/** Runs work side by side, as much as the system's threads can take, and tells the first failure. */
export class ParallelWork {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts `work` when there is room; resolves then. Throws what work that was started before failed with. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#throwFailure();
    const running: Promise<void> = work()
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when all work is done. Throws the first failure. */
  async finish(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** Resolves when all work is done or failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}

/** The store that is backed up. */
interface BackedUpStore {
  readonly directory: string;
  readonly sidecar: Sidecar;
  /** Bytes of its sidecar. */
  readonly sidecarBytes: Uint8Array;
}

/**
 * Resolves with the absolute path of the directory that the backup of `store` goes to, made when it was missing.
 * @throws {StoreError} BACKUP_FOREIGN when it holds a backup of another store; FILE_EXISTS when it holds something else, or lies
 *   in the store itself; SIDECAR_INVALID, STORE_FORMAT_UNSUPPORTED, STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED
 */
export async function needTarget(target: string, store: BackedUpStore): Promise<string> {
  const directory = resolve(target);
  await refuseStoreItself(directory, store.directory);
  const names = await namesBelow(directory);
  if (names === undefined) {
    if (await isFile(directory)) throw targetTaken(directory, 'it is a file, or lies below one');
    const obstacle = (await danglingLink(directory)) ?? (await enclosure(directory));
    if (obstacle !== undefined) throw targetTaken(directory, obstacle);
    await makeDurableDirectory(directory);
    return directory;
  }
  const sidecarBytes = await readSidecarBytes(directory);
  if (sidecarBytes === undefined) {
    // A first backup that was killed has its place for staged files and nothing else.
    const isNew = names.every((name) => name === STAGING_FOLDER);
    const around = isNew ? await enclosure(directory) : undefined;
    if (around !== undefined) throw targetTaken(directory, around);
    if (isNew) return directory;
    throw targetTaken(directory, 'the directory is neither empty nor a backup');
  }
  if (names.includes('log')) throw targetTaken(directory, 'it is a store, not a backup');
  const [link] = await linksIn(directory);
  if (link !== undefined) throw targetTaken(directory, `${link} in it is a link to somewhere else`);
  needSameStore(directory, sidecarBytes, store);
  return directory;
}

function needSameStore(directory: string, bytes: Uint8Array, { sidecar, sidecarBytes }: BackedUpStore): void {
  const found = parseSidecar(directory, bytes);
  if (Buffer.compare(bytes, sidecarBytes) === 0) return;
  const which = found.storeId === sidecar.storeId ? `${SIDECAR_FILE} differs` : `it is of the store ${found.storeId}`;
  throw new StoreError(
    'BACKUP_FOREIGN',
    `cannot back up to ${directory}: it holds another backup, ${which}, expected the store ${sidecar.storeId}`,
    { data: { directory, found: found.storeId, expected: sidecar.storeId } },
  );
}

// A backup in the store would be lost with it, and a store in the backup would be taken for part of it.
async function refuseStoreItself(directory: string, storeDirectory: string): Promise<void> {
  const [target, store] = [await realPathOf(directory), await realPathOf(storeDirectory)];
  if (isWithin(target, store)) throw targetTaken(directory, `it lies in the store ${storeDirectory}`);
}

/** Whether `path` is `folder` or below it; both are real. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && resolve(folder, way) === resolve(path));
}

/** Resolves with the path that `path` has when links are followed, also when its end does not exist yet. */
export async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const above = dirname(path);
    if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error)) || above === path) throw ioFailure(`look at ${path}`, error);
    return join(await realPathOf(above), basename(path));
  }
}

/** Resolves with why a path cannot be made, when it goes through a dangling link; else undefined. */
export async function danglingLink(path: string): Promise<string | undefined> {
  try {
    await realpath(path);
    return undefined;
  } catch (error) {
    if (['ENOTDIR', 'ELOOP'].includes(systemCode(error))) return undefined;
    if (systemCode(error) !== 'ENOENT') throw ioFailure(`look at ${path}`, error);
    if (await isLink(path)) return `${path} is a link that leads nowhere`;
    return dirname(path) === path ? undefined : danglingLink(dirname(path));
  }
}

/**
 * Resolves with why a directory cannot be used: it lies in a store or a backup; else undefined.
 * What is put there would be lost with the store, or reported as damage to it.
 */
export async function enclosure(directory: string): Promise<string | undefined> {
  const below = await realPathOf(directory);
  for (let folder = dirname(below); folder !== dirname(folder); folder = dirname(folder)) {
    if (await isFound(join(folder, 'log', 'CURRENT'))) return `it lies in the store ${folder}`;
    if (!(await isFound(join(folder, SIDECAR_FILE)))) continue;
    return `it lies in the ${(await isFound(join(folder, 'log'))) ? 'store' : 'backup'} ${folder}`;
  }
  return undefined;
}

// A folder that may not be searched, such as `/var/log`, does not count as part of a store.
async function isFound(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(systemCode(error))) return false;
    throw ioFailure(`look at ${path}`, error);
  }
}

/** Resolves with the names in a directory; undefined when there is none of its name. */
export function namesBelow(directory: string): Promise<string[] | undefined> {
  return namesIn(directory, ['ENOENT', 'ENOTDIR']);
}

/** Whether `path`, or something above it, is there and no directory. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return !(await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    if (systemCode(error) === 'ENOTDIR') return true;
    throw ioFailure(`look at ${path}`, error);
  }
}

function targetTaken(directory: string, why: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot back up to ${directory}: ${why}`, { data: { directory } });
}
