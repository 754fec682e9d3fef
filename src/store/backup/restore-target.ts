import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StoreError } from '../../errors.js';
import { ioFailure, makeDurableDirectory, syncDirectory, systemCode } from '../files/durable-file.js';
import { SIDECAR_FILE } from '../open/sidecar.js';
import { danglingLink, enclosure, isFile, isWithin, namesIn, realPathOf } from './backup-target.js';

/** Directories that this process builds stores in. */
const building = new Set<string>();

/**
 * Resolves with the absolute path where a store is to be: nothing stands there, or an empty directory.
 * @throws {StoreError} STORE_EXISTS; FILE_EXISTS when something else or a dangling link is there, or
 *   it lies in a store or a backup; IO_FAILED
 */
export async function needVacancy(target: string, source: string): Promise<string> {
  const link = await danglingLink(resolve(target));
  if (link !== undefined) throw taken(resolve(target), link);
  const directory = await realPathOf(resolve(target));
  if (isWithin(directory, await realPathOf(resolve(source)))) throw taken(directory, 'it lies in the backup');
  const names = (await namesIn(directory)) ?? [];
  if (names.includes(SIDECAR_FILE) || names.includes('log')) throw storeExists(directory);
  if (await isFile(directory)) throw taken(directory, 'it is a file, or lies below one');
  if (names.length > 0) throw taken(directory, 'the directory is not empty');
  const around = await enclosure(directory);
  if (around !== undefined) throw taken(directory, around);
  return directory;
}

/**
 * Makes a directory beside `directory`, gives it to `build`, and puts what was built in its place: whole, or not at all. What
 * killed builds left is removed before.
 * @throws {StoreError} STORE_EXISTS when a store came there meanwhile; whatever `build` throws; STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED
 */
export async function buildBeside<Result>(
  directory: string,
  build: (place: string) => Promise<Result>,
): Promise<Result> {
  const parent = dirname(directory);
  await makeDurableDirectory(parent);
  await removeLeftovers(directory);
  const place = join(parent, buildName(directory, process.pid));
  building.add(place);
  try {
    await mkdir(place, { mode: 0o700 });
    const result = await build(place);
    // A crash before this line leaves a directory of another name, which the next restore removes; after it, the store.
    await rename(place, directory);
    await syncDirectory(parent);
    return result;
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw buildFailure(directory, error);
  } finally {
    building.delete(place);
  }
}

function buildFailure(directory: string, error: unknown): StoreError {
  if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error))) return storeExists(directory, error);
  if (['EBUSY', 'EXDEV'].includes(systemCode(error))) {
    return new StoreError(
      'IO_FAILED',
      `cannot restore to ${directory}: a file system is mounted there; restore to a directory below it`,
      { cause: error, data: { directory } },
    );
  }
  return ioFailure(`restore to ${directory}`, error);
}

// Hidden, and not a name that anybody would open a store by. The process that builds is part of it.
function buildName(directory: string, pid: number): string {
  return `.${basename(directory)}.restoring-${pid}-${randomBytes(6).toString('hex')}`;
}

async function removeLeftovers(directory: string): Promise<void> {
  const parent = dirname(directory);
  const beginning = `.${basename(directory)}.restoring-`;
  for (const name of (await namesIn(parent)) ?? []) {
    const [, pid] = /^(\d+)-[0-9a-f]{12}$/.exec(name.startsWith(beginning) ? name.slice(beginning.length) : '') ?? [];
    if (pid === undefined || isBuilding(join(parent, name), Number(pid))) continue;
    try {
      // Out of the way first: should somebody still build there after all, its store cannot be put in place half removed.
      const leftover = join(parent, buildName(directory, 0));
      await rename(join(parent, name), leftover);
      await rm(leftover, { recursive: true, force: true });
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw ioFailure(`remove ${join(parent, name)}`, error);
    }
  }
}

function isBuilding(place: string, pid: number): boolean {
  // A restarted container has the process id of the one before.
  if (pid === process.pid) return building.has(place);
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

function storeExists(directory: string, cause?: unknown): StoreError {
  return new StoreError('STORE_EXISTS', `cannot restore to ${directory}: there is a store already`, {
    cause,
    data: { directory },
  });
}

function taken(directory: string, why: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot restore to ${directory}: ${why}`, { data: { directory } });
}
