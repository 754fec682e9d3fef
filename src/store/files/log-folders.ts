import { constants, readdirSync } from 'node:fs';
import { copyFile, lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../errors.js';
import { ioFailure, makeDurableDirectory, namesIn, removeDurably, syncDirectory } from './files.js';

/*
 * A log is replaced by renames alone. `log.rebuilding` is where work is done; nothing in it matters. `log.rebuilt` is whole and
 * checked. In the order in which they come to be:
 *
 *   log, log.rebuilding            a crash leaves the old log, and work that the next rebuild removes
 *   log, log.rebuilt               the same
 *   log.damaged-N, log.rebuilt     no log: an open says so, and the next rebuild makes the last rename
 *   log.damaged-N, log             done
 */

/** What LevelDB writes beside the rows: its lock, which must not be read, and a log of its doings. */
const NOT_ROWS = /^(?:LOCK|LOG|LOG\.old)$/;

/** How the names of damaged logs begin that rebuilds put aside. */
const DAMAGED_PREFIX = 'log.damaged-';

/** Paths of the folders that a log is in, in a store's directory. */
export interface LogFolders {
  readonly directory: string;
  readonly log: string;
  readonly working: string;
  readonly rebuilt: string;
}

/** Returns the paths for the store in `directory`. */
export function logFolders(directory: string): LogFolders {
  const path = (name: string): string => join(directory, name);
  return { directory, log: path('log'), working: path('log.rebuilding'), rebuilt: path('log.rebuilt') };
}

/** Whether a rebuild was cut short between its last two renames: then the log stands under another name. */
export async function isHalfRebuilt({ log, rebuilt }: LogFolders): Promise<boolean> {
  return (await rowFilesIn(rebuilt)).length > 0 && (await rowFilesIn(log)).length === 0;
}

/** Finishes or forgets what a rebuild that was cut short left. */
export async function takeUpRebuild(folders: LogFolders): Promise<void> {
  if (await isHalfRebuilt(folders)) {
    // An open that came in between may have made an empty folder.
    await removeDurably(folders.log);
    await renameDurably(folders.rebuilt, folders.log, folders.directory);
  }
  await removeDurably(folders.rebuilt);
  await removeDurably(folders.working);
}

/**
 * Returns the names of the damaged logs that rebuilds put aside in a store's directory, and that
 * nobody removed since.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export function damagedLogs(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith(DAMAGED_PREFIX))
      .sort();
  } catch (error) {
    throw ioFailure(`read ${directory}`, error);
  }
}

/**
 * Removes the copies of the log that a rebuild which was cut short left: they hold what was erased
 * since. Only for the owner of an open store.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export async function removeLogCopies(directory: string): Promise<void> {
  const { rebuilt, working } = logFolders(directory);
  await removeDurably(rebuilt);
  await removeDurably(working);
}

/** Copies the files of a log to `to`, which must not exist; calls `onCopied` with the bytes so far. */
export async function copyLog(
  from: string,
  to: string,
  onCopied: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await makeDurableDirectory(to);
  try {
    let done = 0;
    for (const name of await rowFilesIn(from)) {
      throwIfAborted(signal);
      const path = join(from, name);
      // A pipe would be waited for, and what is no file has no row.
      const found = await lstat(path);
      if (!found.isFile()) continue;
      // Never a second name for the same bytes: LevelDB that knows too little of its files writes over them.
      await copyFile(path, join(to, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      done += found.size;
      onCopied(done);
    }
  } catch (error) {
    throw ioFailure(`copy the log ${from}`, error);
  }
}

/** Puts the log at `fresh`, whole and closed, in the place of the old one. Returns where the old one is now. */
export async function swapLog(folders: LogFolders, fresh: string): Promise<string> {
  const { directory, log, rebuilt } = folders;
  const damaged = await freeName(directory);
  await syncDirectory(fresh);
  await renameDurably(fresh, rebuilt, directory);
  await renameDurably(log, damaged, directory);
  // A crash here leaves no log, and an open that says what to do.
  await renameDurably(rebuilt, log, directory);
  return damaged;
}

/** Names of the files of a log, without what is not rows; none when there is no such folder. */
async function rowFilesIn(folder: string): Promise<string[]> {
  return ((await namesIn(folder)) ?? []).filter((name) => !NOT_ROWS.test(name));
}

async function renameDurably(from: string, to: string, directory: string): Promise<void> {
  try {
    await rename(from, to);
    await syncDirectory(directory);
  } catch (error) {
    throw ioFailure(`rename ${from} to ${to}`, error);
  }
}

async function freeName(directory: string): Promise<string> {
  const names = new Set(await readdir(directory));
  let number = 1;
  while (names.has(`${DAMAGED_PREFIX}${number}`)) number++;
  return join(directory, `${DAMAGED_PREFIX}${number}`);
}
