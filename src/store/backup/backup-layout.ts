import type { OptionNames } from '../../model/option-names.js';
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { type Digest, digestHex, isDigest } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { ioFailure, makeDurableDirectory, namesIn, systemCode, unless } from '../files/files.js';
import {
  FORMAT_VERSION,
  formatSidecar,
  parseSidecar,
  readSidecarBytes,
  type Sidecar,
  SIDECAR_FILE,
  TILE_FOLDER,
} from '../open/sidecar.js';
import { enclosure, othersIn, realPathOf } from '../open/vacancy.js';
import { StoreError } from '../../errors.js';

/** Options of a backup. */
export interface BackupOptions {
  /** Called as bytes are written. `total` grows, because event lengths are not known up front. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  /**
   * Milliseconds to wait while another run writes to the directory; then STORE_LOCKED. Default 0.
   */
  readonly lockTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const backupOptionNames: OptionNames<BackupOptions> = { onProgress: true, lockTimeoutMs: true, signal: true };

/** Result of a backup. Sizes are bytes. */
export interface BackupReport {
  /** Absolute path of the backup. */
  readonly directory: string;
  readonly storeId: string;
  /** Events in the backup: those up to the head when it began. */
  readonly events: number;
  /** Text of its checkpoint. */
  readonly checkpoint: string;
  /** Files written; those of the previous backup are not rewritten. */
  readonly filesWritten: number;
  readonly bytesWritten: number;
  /** Files removed: partial tiles that are full by now, and what the store no longer has. */
  readonly filesRemoved: number;
  /** All files of the backup. */
  readonly files: number;
  readonly bytes: number;
}

/** Options of a restore. */
export interface RestoreOptions {
  /** Texts of checkpoints, signed or not, that the backup must contain besides its own. */
  readonly against?: string | readonly string[] | undefined;
  /** Key (Go note format: `NAME+hash+key`) that must have signed each checkpoint. */
  readonly key?: string | undefined;
  /** Called as bytes are read, first to verify, then to write the store; `total` covers both. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  /** Called for what is worth knowing but no damage: files left by an interrupted run. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const restoreOptionNames: OptionNames<RestoreOptions> = {
  against: true,
  key: true,
  onProgress: true,
  onNotice: true,
  signal: true,
};

/** Result of a restore. */
export interface RestoreReport {
  /** Absolute path of the store. */
  readonly directory: string;
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
  readonly events: number;
  /** Text of the store's new checkpoint. */
  readonly checkpoint: string;
  /** Layer files and their bytes. */
  readonly blobs: number;
  readonly blobBytes: number;
}

/*
 * Paths below the directory of a backup. `checkpoint` and `tile/` are those of C2SP tlog-tiles; the
 * sidecar has the same name as in a store.
 */

/** Commits to the events of the backup; without it the backup is not finished. */
export const CHECKPOINT_PATH = 'checkpoint';
/** Image configs, manifests and indexes that are too large for a pack, and all those of version 1. */
export const CONTENT_FOLDER = 'content/sha256';
/** Packs of smaller ones. */
export const PACK_FOLDER = 'content/packs';
/** Layer files. */
export const BLOB_FOLDER = 'blobs/sha256';
/** Files being written; exists only while a backup runs, or after one was killed. */
export const STAGING_FOLDER = '.staging';

/** Path of content in a backup. */
export function contentPath(digest: Digest): string {
  return `${CONTENT_FOLDER}/${digestHex(digest)}`;
}

/** Path of a layer file in a backup. */
export function blobPath(digest: Digest): string {
  return `${BLOB_FOLDER}/${digestHex(digest)}`;
}

/** Returns the digest that names a file of content, a pack or a layer; undefined for other names. */
export function digestOfName(name: string): Digest | undefined {
  const digest = `sha256:${name}`;
  return isDigest(digest) ? digest : undefined;
}

/** Paths that every backup has, parents first. */
const FIXED_PLACES = [
  SIDECAR_FILE,
  STAGING_FOLDER,
  TILE_FOLDER,
  dirname(CONTENT_FOLDER),
  CONTENT_FOLDER,
  PACK_FOLDER,
  dirname(BLOB_FOLDER),
  BLOB_FOLDER,
] as const;

/**
 * Resolves with every folder of a backup, and its sidecar, that is a symbolic link. A link's target
 * is not part of the backup: it may be gone when needed, or hold foreign files to be removed.
 */
export async function linksIn(directory: string): Promise<string[]> {
  const links: string[] = [];
  for (const place of FIXED_PLACES) if (await isLink(join(directory, place))) links.push(place);
  return links;
}

/** Whether `path` is a link, dangling or not. */
async function isLink(path: string): Promise<boolean> {
  const found = await unless(['ENOENT', 'ENOTDIR'], `look at ${path}`, () => lstat(path));
  return found?.isSymbolicLink() === true;
}

/** Runs work concurrently, limited by the system's threads, and throws the first failure. */
export class ParallelWork {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves once `work` was started, when there is room. Throws failures of earlier work. */
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

/** The store to back up. */
type BackedUpStore = Pick<StoreContext, 'directory' | 'sidecar'>;

/**
 * Resolves with the absolute path of the target directory, created when missing. `own` is the store's
 * sidecar.
 * @throws {StoreError} BACKUP_FOREIGN when it holds a backup of another store; FILE_EXISTS when it
 *   holds something else, or lies in the store itself; SIDECAR_INVALID, STORE_FORMAT_UNSUPPORTED
 */
export async function needTarget(target: string, store: BackedUpStore, own: Sidecar): Promise<string> {
  const directory = resolve(target);
  await refuseStoreItself(directory, store.directory);
  const names = await namesBelow(directory);
  if (names === undefined) {
    if (await isFile(directory)) throw targetTaken(directory, 'it is a file, or below one');
    const obstacle = (await danglingLink(directory)) ?? (await enclosure(directory));
    if (obstacle !== undefined) throw targetTaken(directory, obstacle);
    await makeDurableDirectory(directory);
    return directory;
  }
  const sidecarBytes = await readSidecarBytes(directory);
  if (sidecarBytes === undefined) {
    // A killed first backup leaves only the staging folder.
    const isNew = othersIn(names).every((name) => name === STAGING_FOLDER);
    const around = isNew ? await enclosure(directory) : undefined;
    if (around !== undefined) throw targetTaken(directory, around);
    if (isNew) return directory;
    throw targetTaken(directory, 'the directory is neither empty nor a backup');
  }
  if (names.includes('log')) throw targetTaken(directory, 'it is a store, not a backup');
  const [link] = await linksIn(directory);
  if (link !== undefined) throw targetTaken(directory, `${link} in it is a link to somewhere else`);
  const former = parseSidecar(directory, sidecarBytes);
  if (sidecarText(former, FORMAT_VERSION) === sidecarText(own, FORMAT_VERSION)) return directory;
  const { storeId: found } = former;
  const { storeId: expected } = store.sidecar;
  const which = found === expected ? `${SIDECAR_FILE} differs` : `it is of the store ${found}`;
  const message = `cannot back up to ${directory}: it holds another backup, ${which}, expected the store ${expected}`;
  throw new StoreError('BACKUP_FOREIGN', message, { data: { directory, found, expected } });
}

/** Returns the text of a sidecar with another version. */
export function sidecarText(sidecar: Sidecar, version: number): string {
  return formatSidecar({ ...sidecar, version });
}

// A backup in the store would be lost with it, and a store in the backup would pass for part of it.
async function refuseStoreItself(directory: string, storeDirectory: string): Promise<void> {
  const [target, store] = [await realPathOf(directory), await realPathOf(storeDirectory)];
  if (isWithin(target, store)) throw targetTaken(directory, `it lies in the store ${storeDirectory}`);
}

/** Whether `path` is `folder` or below it; both are real paths. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && resolve(folder, way) === resolve(path));
}

/** Resolves with why a path through a dangling link cannot be created; else undefined. */
export async function danglingLink(path: string): Promise<string | undefined> {
  try {
    await realpath(path);
    return undefined;
  } catch (error) {
    if (['ENOTDIR', 'ELOOP'].includes(systemCode(error))) return undefined;
    if (systemCode(error) !== 'ENOENT') throw ioFailure(`inspect ${path}`, error);
    if (await isLink(path)) return `${path} is a link that leads nowhere`;
    return dirname(path) === path ? undefined : danglingLink(dirname(path));
  }
}

/** Resolves with the names in a directory; undefined when it does not exist. */
export function namesBelow(directory: string): Promise<string[] | undefined> {
  return namesIn(directory, ['ENOENT', 'ENOTDIR']);
}

/** Whether `path`, or an ancestor of it, exists and is not a directory. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return !(await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    if (systemCode(error) === 'ENOTDIR') return true;
    throw ioFailure(`inspect ${path}`, error);
  }
}

function targetTaken(directory: string, why: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot back up to ${directory}: ${why}`, { data: { directory } });
}
