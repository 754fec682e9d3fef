import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { StoreError } from '../../errors.js';
import { ioFailure, makeDurableDirectory, systemCode } from '../files/durable-file.js';
import { readRegularFile } from '../files/regular-file.js';
import { readSidecar, type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import { STAGING_FOLDER } from './backup-layout.js';
import { linksIn } from './backup-links.js';

/** The store that is backed up. */
export interface BackedUpStore {
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
  const names = await namesIn(directory);
  if (names === undefined) {
    if (await isFile(directory)) throw targetTaken(directory, 'it is a file, or lies below one');
    await makeDurableDirectory(directory);
    return directory;
  }
  const sidecar = await readSidecar(directory);
  if (sidecar === undefined) {
    // A first backup that was killed has its place for staged files and nothing else.
    if (names.every((name) => name === STAGING_FOLDER)) return directory;
    throw targetTaken(directory, 'the directory is neither empty nor a backup');
  }
  if (names.includes('log')) throw targetTaken(directory, 'it is a store, not a backup');
  const [link] = await linksIn(directory);
  if (link !== undefined) throw targetTaken(directory, `${link} in it is a link to somewhere else`);
  await needSameStore(directory, sidecar, store);
  return directory;
}

async function needSameStore(
  directory: string,
  found: Sidecar,
  { sidecar, sidecarBytes }: BackedUpStore,
): Promise<void> {
  const bytes = await readRegularFile(join(directory, SIDECAR_FILE));
  if (Buffer.from(sidecarBytes).equals(bytes ?? new Uint8Array(0))) return;
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

/** Resolves with the names in a directory; undefined when there is none of its name. */
export async function namesIn(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return undefined;
    throw ioFailure(`read ${directory}`, error);
  }
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
