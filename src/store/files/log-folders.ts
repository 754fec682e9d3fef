import { constants, readdirSync } from 'node:fs';
import { copyFile, lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../errors.js';
import { inSystem, ioFailure, makeDurableDirectory, namesIn, removeDurably, syncDirectory } from './files.js';

/*
 * A log is replaced by renames only. `log.rebuilding` is scratch, `log.rebuilt` whole and checked.
 * The states, in order:
 *
 *   log, log.rebuilding          a crash leaves the old log; the next rebuild removes scratch
 *   log, log.rebuilt             the same
 *   log.damaged-N, log.rebuilt   no log: an open says so; the next rebuild does the last rename
 *   log.damaged-N, log           done
 */

/** LevelDB's own files beside the rows: its lock, which must not be read, and its debug log. */
const NOT_ROWS = /^(?:LOCK|LOG|LOG\.old)$/;

const DAMAGED_PREFIX = 'log.damaged-';

/** Paths of the folders of a log, in a store's directory. */
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

/** Whether a rebuild was interrupted between its last two renames, so that `log` is missing. */
export async function isHalfRebuilt({ log, rebuilt }: LogFolders): Promise<boolean> {
  return (await rowFilesIn(rebuilt)).length > 0 && (await rowFilesIn(log)).length === 0;
}

/** Finishes or discards an interrupted rebuild. */
export async function takeUpRebuild(folders: LogFolders): Promise<void> {
  if (await isHalfRebuilt(folders)) {
    // An open in between may have created an empty folder.
    await removeDurably(folders.log);
    await renameDurably(folders.rebuilt, folders.log, folders.directory);
  }
  await removeLogCopies(folders.directory);
}

/** Returns the names of the damaged logs that rebuilds set aside in a store's directory. */
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
 * Removes log copies of an interrupted rebuild, which hold what was erased since. Only for the
 * owner of an open store, or of a claimed one.
 */
export async function removeLogCopies(directory: string): Promise<void> {
  const { rebuilt, working } = logFolders(directory);
  await removeDurably(rebuilt);
  await removeDurably(working);
}

/** Copies the files of a log to `to`, which must not exist; `onCopied` gets the bytes so far. */
export async function copyLog(
  from: string,
  to: string,
  onCopied: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await makeDurableDirectory(to);
  await inSystem(`copy the log ${from}`, async () => {
    let done = 0;
    for (const name of await rowFilesIn(from)) {
      throwIfAborted(signal);
      const path = join(from, name);
      // Only files have rows, and a pipe would block.
      const found = await lstat(path);
      if (!found.isFile()) continue;
      // Never a hard link: LevelDB that has lost track of its files overwrites them.
      await copyFile(path, join(to, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      done += found.size;
      onCopied(done);
    }
  });
}

/** Swaps in the log at `fresh`, whole and closed. Returns the new path of the old one. */
export async function swapLog(folders: LogFolders, fresh: string): Promise<string> {
  const { directory, log, rebuilt } = folders;
  const damaged = await freeName(directory);
  await syncDirectory(fresh);
  await renameDurably(fresh, rebuilt, directory);
  await renameDurably(log, damaged, directory);
  // A crash here leaves no log; an open then says what to do.
  await renameDurably(rebuilt, log, directory);
  return damaged;
}

const LOST_CHECKPOINT = /^checkpoint\.lost-after-\d+(?:-\d+)?$/;

/** Returns the names of the checkpoints of events that rebuilds accepted as lost. */
export function lostCheckpoints(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => LOST_CHECKPOINT.test(name))
      .sort();
  } catch (error) {
    throw ioFailure(`read ${directory}`, error);
  }
}

/** Renames the checkpoint `file` of a log that lost its events after `seq`; returns its new path. */
export async function setCheckpointAside(directory: string, file: string, seq: number): Promise<string> {
  const names = new Set(await readdir(directory));
  const name = `checkpoint.lost-after-${seq}`;
  let free = name;
  for (let number = 2; names.has(free); number++) free = `${name}-${number}`;
  await renameDurably(join(directory, file), join(directory, free), directory);
  return join(directory, free);
}

/** Names of the files of a log that hold rows; none when the folder is missing. */
async function rowFilesIn(folder: string): Promise<string[]> {
  return ((await namesIn(folder)) ?? []).filter((name) => !NOT_ROWS.test(name));
}

async function renameDurably(from: string, to: string, directory: string): Promise<void> {
  await inSystem(`rename ${from} to ${to}`, async () => {
    await rename(from, to);
    await syncDirectory(directory);
  });
}

async function freeName(directory: string): Promise<string> {
  const names = new Set(await readdir(directory));
  let number = 1;
  while (names.has(`${DAMAGED_PREFIX}${number}`)) number++;
  return join(directory, `${DAMAGED_PREFIX}${number}`);
}
