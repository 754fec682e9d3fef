import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelLog } from '../../log/level-log.js';
import { ioFailure } from '../files/durable-file.js';
import { nodeSha256 } from '../files/node-hash.js';
import { liveTables } from './inspect-database.js';
import { openDatabase } from './open-database.js';
import { rehearsalName, sweepRehearsals } from './rehearsal-folders.js';

/**
 * Opens a copy of the log of the store in `directory`, runs `check` on it, and removes the copy. LevelDB that opens a log with an unfinished
 * end drops that end for good: when it was no crash that left it, but damage, then the log must be as it was for whoever saves what is there.
 * Tables are never written to again, so that a link is a copy of them.
 * @throws {StoreError} what opening or `check` throws; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function rehearseOpening(directory: string, check: (log: LevelLog) => Promise<void>): Promise<void> {
  await withDatabaseCopy(directory, 'linked', (location) => checkCopy(location, check));
}

/**
 * Resolves with what `use` makes of a copy of the database of the store in `directory`; the copy is removed after. Its tables may be `linked`
 * when the files are whole. LevelDB that knows too little of them, as from a MANIFEST that lost its end, gives a new table the number of
 * one that is there, and writes over its bytes: then they are `copied`.
 * @throws {StoreError} what `use` throws; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function withDatabaseCopy<Result>(
  directory: string,
  tables: 'linked' | 'copied',
  use: (location: string) => Promise<Result>,
): Promise<Result> {
  const copy = join(directory, await rehearsalName());
  try {
    await sweepRehearsals(directory);
    try {
      await mkdir(copy, { mode: 0o700 });
      await copyDatabase(join(directory, 'log'), copy, tables);
      return await use(copy);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  } catch (error) {
    throw ioFailure(`look at a copy of the log of ${directory}`, error);
  }
}

async function checkCopy(copy: string, check: (log: LevelLog) => Promise<void>): Promise<void> {
  const log = await LevelLog.open(copy, { createIfMissing: false, readOnly: true, hash: nodeSha256, openDatabase });
  try {
    await check(log);
  } finally {
    await log.close();
  }
}

async function copyDatabase(from: string, to: string, tables: 'linked' | 'copied'): Promise<void> {
  const isLive = tables === 'linked' ? await liveTables(from) : () => false;
  for (const name of await readdir(from)) {
    if (!/^(?:CURRENT|MANIFEST-\d+|\d+\.(?:log|ldb|sst))$/.test(name)) continue;
    if (!(await stat(join(from, name))).isFile()) continue;
    if (isLive(name)) await linkOrCopy(join(from, name), join(to, name));
    else await copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE);
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch {
    // Not every file system has links, nor every file more of them.
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}
