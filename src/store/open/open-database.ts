import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { eventKey } from '../../log/rows.js';
import { parseRecordFile, parseWriteBatch } from '../../log/leveldb/log-files.js';
import type { Database } from '../../log/log.js';
import { openLevel } from '../../log/leveldb/open-level.js';
import { ioFailure, readRegularFile, writeDurableFile } from '../files/files.js';

/** Times that a log is opened before its disk is given up: a fault that does not last is not told. */
const MOST_TRIES = 2;

/** A write-ahead log as it is before LevelDB opens it. */
interface WriteAheadLog {
  readonly bytes: Uint8Array;
  /** The last event in it; undefined when it has none. */
  readonly lastEvent: number | undefined;
}

/**
 * Opens the database at `location`, and sees to it that LevelDB reads its write-ahead log. LevelDB 1.20 takes a write-ahead log that it
 * cannot open or read for an empty one, and removes it: one failed read, or a process that has no descriptor left in that moment, cost every
 * event in it. So it is read here first; when its last event is not in the opened database, it is put back, and
 * the database opened once more. The files must be whole: what LevelDB drops because it is damaged would be put back for ever.
 * @throws {StoreError} IO_FAILED when LevelDB cannot read it: nothing is lost, and the next open may succeed; as `openLevel`
 */
export async function openDatabase(
  location: string,
  createIfMissing: boolean,
  open: typeof openLevel = openLevel,
): Promise<Database> {
  if (createIfMissing) return open(location, true);
  for (let tries = 1; tries <= MOST_TRIES; tries++) {
    const logs = await readWriteAheadLogs(location);
    const database = await open(location, false);
    if (logs.every(({ lastEvent }) => lastEvent === undefined || hasEvent(database, lastEvent))) return database;
    await database.close();
    // A crash before they are back loses them; that takes a fault of the disk and a crash in the same moment.
    await putBack(location, logs);
  }
  const text = `cannot open the log ${location}: LevelDB did not read its write-ahead log, which was put back`;
  throw new StoreError('IO_FAILED', text, { data: { location } });
}

async function readWriteAheadLogs(location: string): Promise<WriteAheadLog[]> {
  const names = (await namesIn(location)).filter((name) => /^\d+\.log$/.test(name));
  const logs: WriteAheadLog[] = [];
  for (const name of names.sort((a, b) => numberOf(a) - numberOf(b))) {
    const bytes = await readRegularFile(join(location, name));
    if (bytes !== undefined) logs.push({ bytes, lastEvent: lastEventIn(bytes) });
  }
  return logs;
}

function lastEventIn(bytes: Uint8Array): number | undefined {
  return parseRecordFile(bytes)
    .records.map((record) => parseWriteBatch(record.bytes)?.events?.last)
    .findLast((last) => last !== undefined);
}

function hasEvent(database: Database, seq: number): boolean {
  return database.getSync(eventKey(seq)) !== undefined;
}

// Under numbers that LevelDB has not given yet: it replays every log that is not older than its MANIFEST, in their order. Each entry has its own
// number in it, so that one that was read all the same is the same entry again.
async function putBack(location: string, logs: readonly WriteAheadLog[]): Promise<void> {
  let number = (await namesIn(location)).reduce((most, name) => Math.max(most, numberOf(name)), 0) + 1;
  for (const { bytes } of logs) {
    await writeDurableFile(join(location, `${String(number).padStart(6, '0')}.log`), bytes);
    number += 1;
  }
}

/** The number in the name of one of LevelDB's files; 0 when there is none. */
function numberOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0);
}

async function namesIn(location: string): Promise<string[]> {
  try {
    return await readdir(location);
  } catch (error) {
    throw ioFailure(`look at the log ${location}`, error);
  }
}
