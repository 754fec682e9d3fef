import { join } from 'node:path';
import { throwIfAborted } from '../../abort.js';
import { isStoreError, StoreError } from '../../errors.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { forgetDerivedRows } from '../../log/forget-derived-rows.js';
import { LevelLog } from '../../log/level-log.js';
import type { Database } from '../../log/log-source.js';
import { openFailure } from '../../log/open-failure.js';
import { readFailure } from '../../log/read-failure.js';
import { repairLevel } from '../../log/repair-level.js';
import type { Digest } from '../../model/digest.js';
import { removeDurably } from '../files/durable-file.js';
import { nodeSha256 } from '../files/node-hash.js';
import { NotAFile, readRegularFile } from '../files/regular-file.js';
import { CHECKPOINT_FILE, CheckpointKeeper } from '../open/checkpoint-keeper.js';
import { checkFree } from '../open/lock-holder.js';
import { inspectDatabase } from '../open/inspect-database.js';
import { oldHeadSeq } from '../open/old-head-file.js';
import { openDatabase } from '../open/open-database.js';
import type { Sidecar } from '../open/sidecar.js';
import { WholeTables } from '../open/whole-tables.js';
import { beyondRepair, type ExaminedLog, examineLog, lostEvents } from './examined-log.js';
import { copyLog, type LogFolders, swapLog } from './log-folders.js';
import type { RebuildOptions } from './rebuild.js';
import { salvageRows } from './salvage.js';

/** What became of a log. */
export interface RebuiltLog {
  /** Where the damaged one is, when another took its place. */
  readonly damagedLog: string | undefined;
  readonly lostContent: readonly Digest[];
}

/**
 * Makes the log of a store one that opens: its rows that follow from the events are new, and where LevelDB does not have all events any
 * more, so is the database. The log is looked at in a copy, since LevelDB that opens a damaged one removes what it does not know.
 * @throws {StoreError} LOG_CORRUPT when events are lost, or the log is not that of its checkpoint: nothing was changed then
 */
export async function rebuildLog(folders: LogFolders, sidecar: Sidecar, options: RebuildOptions): Promise<RebuiltLog> {
  await checkFree(folders.log);
  // Whoever asks for a rebuild, or stops one, has reason to doubt what was found before.
  await WholeTables.forget(folders.directory);
  // LevelDB drops what is damaged in its write-ahead log when it opens, and says nothing: events that stand behind it are still expected.
  const { faults, lastEvent } = await inspectDatabase(folders.log);
  const expected = Math.max(await expectedSize(folders.directory), lastEvent);
  try {
    if (faults.length === 0 && (await isWholeCopy(folders, expected, options))) {
      await renewRows(folders.log, folders.directory, sidecar, options);
      return { damagedLog: undefined, lostContent: [] };
    }
    return await salvageLog(folders, expected, sidecar, options);
  } finally {
    await removeDurably(folders.working);
  }
}

/** Whether LevelDB opens a copy of the log, and has every event in it. */
async function isWholeCopy(folders: LogFolders, expected: number, options: RebuildOptions): Promise<boolean> {
  const copy = join(folders.working, 'copy');
  await copyLog(folders.log, copy, options);
  try {
    const examined = await withDatabase(copy, (database) => examineLog(database, options));
    return lostEvents(examined, expected) === undefined;
  } catch (error) {
    if (isStoreError(error, 'LOG_CORRUPT') || isStoreError(error, 'LOG_FAILED')) return false;
    throw error;
  } finally {
    await removeDurably(copy);
  }
}

async function salvageLog(
  folders: LogFolders,
  expected: number,
  sidecar: Sidecar,
  options: RebuildOptions,
): Promise<RebuiltLog> {
  const copy = join(folders.working, 'repaired');
  const fresh = join(folders.working, 'log');
  await copyLog(folders.log, copy, options);
  await repairLevel(copy);
  const lostContent = await withDatabase(copy, async (database) => {
    const examined = await examineLog(database, options);
    needEvents(examined, expected);
    return salvageRows(database, fresh, examined, options);
  });
  await renewRows(fresh, folders.directory, sidecar, options);
  throwIfAborted(options.signal);
  // Another process may have opened the store since: it must not go on in a log that is put aside.
  await checkFree(folders.log);
  return { damagedLog: await swapLog(folders, fresh), lostContent };
}

function needEvents(examined: ExaminedLog, expected: number): void {
  const lost = lostEvents(examined, expected);
  if (lost !== undefined) throw beyondRepair(lost, { lost: examined.lost, last: examined.last, expected });
}

/** Makes the rows that follow from the events anew, and holds the log against its checkpoint. */
async function renewRows(
  location: string,
  directory: string,
  { origin }: Sidecar,
  { signer, onNotice = () => undefined }: RebuildOptions,
): Promise<void> {
  await withDatabase(location, async (database) => {
    const failure = (cause: unknown) => readFailure(cause, false);
    await forgetDerivedRows({ database, hash: nodeSha256, failure, opened: (rows) => rows });
  });
  const log = await LevelLog.open(location, { createIfMissing: false, hash: nodeSha256, openDatabase });
  try {
    await new CheckpointKeeper({ directory, origin, log, signer, onNotice }).check();
  } finally {
    await log.close();
  }
}

async function withDatabase<Result>(location: string, use: (database: Database) => Promise<Result>): Promise<Result> {
  const database = await openDatabase(location, false);
  try {
    return await use(database);
  } catch (cause) {
    // What is read has its error already; the rest comes from the writing of rows.
    throw cause instanceof StoreError ? cause : openFailure(location, cause);
  } finally {
    await database.close();
  }
}

/** How many events the log had at least, as far as the files beside it say. */
async function expectedSize(directory: string): Promise<number> {
  const path = join(directory, CHECKPOINT_FILE);
  const bytes = await readRegularFile(path, { limitBytes: MAX_NOTE_BYTES }).catch((cause: unknown) => {
    if (!(cause instanceof NotAFile)) throw cause;
    throw new StoreError('CHECKPOINT_INVALID', `cannot hold the log against ${path}: it is no file`, {
      cause,
      data: { path },
    });
  });
  const size = bytes === undefined ? 0 : parseCheckpoint(bytes).size;
  return Math.max(size, await oldHeadSeq(directory));
}
