import { dirname, join } from 'node:path';
import { StoreError } from '../../errors.js';
import type { Database } from '../../log/log.js';
import { openLevel } from '../../log/leveldb/open-level.js';
import { eventKey } from '../../log/rows.js';
import { ioFailure, writeDurableFile } from '../files/files.js';
import { beforeLock } from './lock.js';
import { databaseFiles, readLogs, type WriteAheadLog } from './database-files.js';

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
