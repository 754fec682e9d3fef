import { dirname, join } from 'node:path';
import { StoreError } from '../../errors.js';
import type { Database } from '../../log/log.js';
import { openFailure, openLevel } from '../../log/leveldb/open-level.js';
import { eventKey } from '../../log/rows.js';
import { ioFailure, systemCode, writeDurableFile } from '../files/files.js';
import { beforeLock } from './lock.js';
import {
  databaseFiles,
  type DatabaseFiles,
  databaseState,
  openDatabaseFile,
  openDescriptor,
  readDatabaseFiles,
  readLogs,
  type WriteAheadLog,
} from './database-files.js';
import { closeSync, fdatasyncSync } from 'node:fs';
import { compareBytes } from '../../model/bytes.js';
import { MAX_KEPT_BLOCK_BYTES } from '../../limits.js';
import { LevelDamage } from '../../log/leveldb/coding.js';
import { type BatchEntry, type Manifest, readWriteBatch } from '../../log/leveldb/log-files.js';
import { asDatabase, ReadOnlyLevel, type Runs, tableInMemory } from '../../log/leveldb/read-only-level.js';
import { BlockCache, type DatabaseFile, TableReader } from '../../log/leveldb/table.js';

/** Attempts to open when LevelDB did not read its write-ahead log (a transient disk fault). */
const MAX_TRIES = 2;

/**
 * Opens the database at `location` and makes sure that LevelDB reads its write-ahead log. LevelDB
 * 1.20 takes a log that it cannot open or read for an empty one and removes it: one failed read, or
 * a process out of descriptors, would cost every event in it. So the log is read first; when its
 * last event is missing afterwards, it is put back and the database reopened. The files must be
 * whole: damage that LevelDB drops would be put back forever.
 * @param known the logs, when read already; reread when their files changed since
 * @throws {StoreError} IO_FAILED when LevelDB cannot read the log: nothing is lost, and the next
 *   open may succeed; as `openLevel`
 */
export async function openDatabase(
  location: string,
  createIfMissing: boolean,
  open: typeof openLevel = openLevel,
  known: readonly WriteAheadLog[] = [],
): Promise<Database> {
  if (createIfMissing) return open(location, true);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const look = async (): Promise<readonly WriteAheadLog[]> => logsIn(location, known);
    const logs = tries === 1 ? await beforeLock(dirname(location), look) : await look();
    const database = await open(location, false);
    if (logs.every(({ lastEvent }) => lastEvent === undefined || hasEvent(database, lastEvent))) return database;
    await database.close();
    // A crash before they are back loses them, but needs a disk fault at the same moment.
    await putBack(location, logs);
  }
  const text = `cannot open the log ${location}: LevelDB did not read its write-ahead log, which was put back`;
  throw new StoreError('IO_FAILED', text, { data: { location } });
}

function logsIn(location: string, known: readonly WriteAheadLog[]): readonly WriteAheadLog[] {
  const files = filesIn(location);
  const count = [...files.keys()].filter((name) => name.endsWith('.log')).length;
  const isKnown = count === known.length && known.every(({ name, version }) => files.get(name)?.version === version);
  return isKnown ? known : readLogs(location, files);
}

function filesIn(location: string): ReturnType<typeof databaseFiles> {
  try {
    return databaseFiles(location);
  } catch (error) {
    throw ioFailure(`inspect the log ${location}`, error);
  }
}

function hasEvent(database: Database, seq: number): boolean {
  return database.getSync(eventKey(seq)) !== undefined;
}

// Uses numbers that LevelDB has not given yet: it replays, in order, every log not older than its
// MANIFEST. Entries carry their sequence numbers, so replaying one twice is idempotent.
async function putBack(location: string, logs: readonly WriteAheadLog[]): Promise<void> {
  const names = [...filesIn(location).keys()];
  let number = names.reduce((most, name) => Math.max(most, Number(/\d+/.exec(name)?.[0] ?? 0)), 0) + 1;
  for (const { bytes } of logs) {
    await writeDurableFile(join(location, `${String(number).padStart(6, '0')}.log`), bytes);
    number += 1;
  }
}

/** Retries while another process compacts the files; each attempt is one compaction later. */
const MAX_READ_TRIES = 100;
/** Codes of a sync that is impossible or unneeded, as on a read-only file system. */
const NO_SYNC = new Set(['EINVAL', 'EROFS', 'ENOTSUP', 'ENOSYS', 'EPERM', 'EBADF']);

/**
 * Opens the database at `location` as a read-only snapshot of this moment, without a lock, a file
 * or a compaction. Other processes may read and write meanwhile: every table is held open, so it
 * stays readable after its removal. Costs reading the write-ahead log, and a descriptor per table.
 * @param known files read already; reread when the database has other files since
 * @throws {StoreError} LOG_CORRUPT when a file is missing or damaged; STORE_NOT_WRITABLE when it
 *   may not be read; IO_FAILED
 */
export async function openDatabaseReadOnly(location: string, known?: DatabaseFiles): Promise<Database> {
  let next = known;
  for (let tries = 1; ; tries++) {
    const opened: DatabaseFile[] = [];
    let state = '';
    try {
      state = databaseState(location);
      const files = next?.state === state ? next : readDatabaseFiles(location);
      const runs = runsOf(location, files, opened);
      // A log that became a table and was removed between two reads leaves a gap.
      if (databaseState(location) !== files.state)
        throw new LevelDamage('the files of the database change while they are opened');
      return asDatabase(new ReadOnlyLevel(runs));
    } catch (error) {
      for (const file of opened) file.close();
      next = undefined;
      // What is missing now is in the files that the next MANIFEST names.
      if (hasOtherFiles(location, state) && tries < MAX_READ_TRIES) continue;
      throw error instanceof LevelDamage ? openFailure(location, error) : ioFailure(`read the log ${location}`, error);
    }
  }
}

function hasOtherFiles(location: string, state: string): boolean {
  try {
    return databaseState(location) !== state;
  } catch {
    return false;
  }
}

function runsOf(location: string, { manifest, logs }: DatabaseFiles, opened: DatabaseFile[]): Runs {
  const tables = tableRuns(location, manifest, opened);
  for (const { name, bytes } of logs) if (bytes.length > 0) syncLog(location, name);
  const memory = tableInMemory(unwrittenEntries(logs));
  return memory === undefined ? tables : [[memory], ...tables];
}

/** Opens the tables: each of level 0 is a run by itself, those of any other level form one. */
function tableRuns(location: string, { tables }: Manifest, opened: DatabaseFile[]): TableReader[][] {
  const cache = new BlockCache(MAX_KEPT_BLOCK_BYTES);
  const runs: TableReader[][] = [];
  const levels = new Map<number, TableReader[]>();
  for (const [number, table] of tables) {
    const file = openTable(location, String(number).padStart(6, '0'));
    opened.push(file);
    const reader = new TableReader(file, table, cache);
    const run = table.level === 0 ? [] : (levels.get(table.level) ?? []);
    run.push(reader);
    if (table.level === 0) runs.push(run);
    else levels.set(table.level, run);
  }
  for (const run of levels.values()) runs.push(run.sort((a, b) => compareBytes(a.smallest, b.smallest)));
  return runs;
}

function openTable(location: string, stem: string): DatabaseFile {
  for (const name of [`${stem}.ldb`, `${stem}.sst`]) {
    try {
      return openDatabaseFile(location, name);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
  throw new LevelDamage(`${stem}.ldb is missing`);
}

/** Returns the entries that are only in write-ahead logs, up to an unfinished end. */
function unwrittenEntries(logs: readonly WriteAheadLog[]): BatchEntry[] {
  const entries: BatchEntry[] = [];
  for (const { name, records, brokenAt } of logs) {
    if (brokenAt !== undefined) throw new LevelDamage(`${name} is damaged at byte ${brokenAt}`);
    for (const { bytes } of records) readWriteBatch(bytes, (entry) => entries.push(entry));
  }
  return entries;
}

// Another process may have written what was read, and not synced it yet.
function syncLog(location: string, name: string): void {
  const descriptor = openDescriptor(location, name);
  try {
    fdatasyncSync(descriptor);
  } catch (error) {
    if (!NO_SYNC.has(systemCode(error))) throw error;
  } finally {
    closeSync(descriptor);
  }
}
