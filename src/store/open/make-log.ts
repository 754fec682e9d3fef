import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { LevelLog } from '../../log/level-log.js';
import { ioFailure, syncDirectory, syncFiles, temporaryPath } from '../files/durable-file.js';
import { isThere } from '../files/is-there.js';
import { nodeSha256 } from '../files/node-hash.js';
import { databaseFiles } from './database-files.js';

/**
 * Makes the empty log of the store in `directory`, durable on return; one that is there stays as it is. LevelDB names the files of a new
 * database before their bytes are on the disk: it is made under another name, so that power that goes meanwhile leaves no log
 * that looks damaged.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, LOG_FAILED
 */
export async function makeLog(directory: string): Promise<void> {
  const location = join(directory, 'log');
  if (await isThere(location)) return needOwnFiles(location);
  const making = temporaryPath(directory);
  try {
    const log = await LevelLog.open(making, { createIfMissing: true, hash: nodeSha256 });
    await log.close();
    await syncFiles(making);
    // A crash before the rename leaves what the next open removes; after it, an empty log, which the next open takes up.
    await rename(making, location);
    await syncDirectory(directory);
  } catch (error) {
    await rm(making, { recursive: true, force: true }).catch(leaveForNextOpening);
    // Two may make the same store: the opening that follows says who has it.
    if (await isThere(location)) return;
    throw ioFailure(`make the log of the store ${directory}`, error);
  }
}

// LevelDB makes an empty database of what is there, and would write through links.
async function needOwnFiles(location: string): Promise<void> {
  const names = await readdir(location).catch((error: unknown) => {
    throw ioFailure(`look at the log ${location}`, error);
  });
  for (const [name, { isFile, isShared }] of databaseFiles(location, names)) {
    if (isFile && !isShared) continue;
    const text = `cannot make the log ${location}: ${name} in it is a link, or no file`;
    throw new StoreError('IO_FAILED', text, { data: { location } });
  }
}

function leaveForNextOpening(): void {
  // The first error is the one to tell; the next opening that writes removes what is left.
}
