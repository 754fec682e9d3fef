import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StoreError } from '../../errors.js';
import { ioFailure, isTemporaryName, namesIn, systemCode, unless } from '../files/files.js';
import { RESERVE_FILE } from '../files/reserve.js';
import { SNAPSHOT_FOLDER } from '../snapshots/snapshot-folder.js';
import { CHECKPOINT_FILE } from './checkpoint-keeper.js';
import { OWNER_FILE } from './lock.js';
import { SIDECAR_FILE } from './sidecar.js';
import { WHOLE_TABLES_FILE } from './whole-tables.js';

/** Names that an empty directory may have: of the file system, of a desktop, of a place kept in git. */
const NOBODYS: ReadonlySet<string> = new Set([
  'lost+found',
  '.snapshot',
  '.DS_Store',
  'System Volume Information',
  '$RECYCLE.BIN',
  '.gitkeep',
  '.gitignore',
]);

/** What a crash leaves of a store that had no sidecar yet. */
const BEGUN: ReadonlySet<string> = new Set(['log', OWNER_FILE, RESERVE_FILE]);

/** Folder of a store for blobs that no event names yet: uploads to its repositories. */
export const UPLOAD_FOLDER = 'uploads';

/** File of a store with the pulls of its references. */
export const PULLS_FILE = 'pulls.json';

/** What is beside an empty log of a store that lost its sidecar: it is made a store again. */
const BESIDE_A_LOG: ReadonlySet<string> = new Set([
  'blobs',
  UPLOAD_FOLDER,
  PULLS_FILE,
  SNAPSHOT_FOLDER,
  CHECKPOINT_FILE,
  WHOLE_TABLES_FILE,
]);

/** Files of a database, LevelDB's debug logs included. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|LOG|LOG\.old|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp))$/;

/** Names that an error shows; its data has the number of all. */
const SHOWN_NAMES = 3;

/**
 * Refuses to make a store among other files: they may be removed with it one day, or be taken for
 * its own. What a crash left of a new store is no other file.
 * @throws {StoreError} STORE_NOT_EMPTY
 */
export async function refuseOtherFiles(directory: string): Promise<void> {
  const names = (await namesIn(directory)) ?? [];
  // Another process made a store meanwhile; its lock decides.
  if (names.includes(SIDECAR_FILE)) return;
  const inLog = (await namesIn(join(directory, 'log'), ['ENOENT', 'ENOTDIR'])) ?? [];
  const hasLog = inLog.length > 0;
  const others = [
    ...othersIn(names).filter((name) => !BEGUN.has(name) && !(hasLog && BESIDE_A_LOG.has(name))),
    ...othersIn(inLog)
      .filter((name) => !DATABASE_FILE.test(name))
      .map((name) => `log/${name}`),
  ];
  if (others.length > 0) throw storeNotEmpty(`make a store in ${directory}`, directory, others);
}

/** Returns the names, sorted, that make a directory one that is not empty. */
export function othersIn(names: readonly string[]): string[] {
  return names.filter((name) => !NOBODYS.has(name) && !isTemporaryName(name)).sort();
}

/** Returns the error for a directory that has `names` and no store. */
export function storeNotEmpty(action: string, directory: string, names: readonly string[]): StoreError {
  const shown = names.slice(0, SHOWN_NAMES);
  const more = names.length - shown.length;
  const list = more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
  return new StoreError('STORE_NOT_EMPTY', `cannot ${action}: it is not empty and no store; it has ${list}`, {
    data: { directory, names: shown, count: names.length },
  });
}

/** Resolves with `path` with links followed, even when its end does not exist yet. */
export async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const above = dirname(path);
    if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error)) || above === path) throw ioFailure(`inspect ${path}`, error);
    return join(await realPathOf(above), basename(path));
  }
}

/**
 * Resolves with why a directory inside a store or a backup cannot be used, else undefined: its
 * files would be lost with the store, or reported as damage to it.
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

// A folder without search permission, such as `/var/log`, does not count as part of a store.
async function isFound(path: string): Promise<boolean> {
  const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'];
  return (await unless(absent, `look at ${path}`, () => stat(path))) !== undefined;
}

/**
 * Refuses to make a store inside a store or a backup.
 * @throws {StoreError} FILE_EXISTS
 */
export async function refuseEnclosed(directory: string): Promise<void> {
  const around = await enclosure(directory);
  if (around === undefined) return;
  throw new StoreError('FILE_EXISTS', `cannot make a store in ${directory}: ${around}`, { data: { directory } });
}

/** Folders of a backup that no store has; the last is what an interrupted run leaves. */
const FOLDERS_OF_BACKUPS = ['tile', 'content', '.staging'];

/**
 * Whether `directory` holds a backup, whole or not. A store that lost its log may be left with only
 * what it shares with a backup.
 */
export async function isBackup(directory: string): Promise<boolean> {
  const names = new Set((await namesIn(directory, ['ENOENT', 'ENOTDIR'])) ?? []);
  if (names.has('log')) return false;
  if (FOLDERS_OF_BACKUPS.some((name) => names.has(name))) return true;
  // The backup of a log without events is a checkpoint of nothing.
  return names.has(CHECKPOINT_FILE) && !names.has('blobs') && !names.has(SNAPSHOT_FOLDER);
}

/**
 * Refuses a directory that holds a backup: as a store it would look damaged.
 * @throws {StoreError} STORE_NOT_FOUND
 */
export async function refuseBackup(directory: string): Promise<void> {
  if (!(await isBackup(directory))) return;
  const message = `no store in ${directory}: it is a backup`;
  throw new StoreError('STORE_NOT_FOUND', message, { data: { directory, path: directory, remedy: 'backup' } });
}
