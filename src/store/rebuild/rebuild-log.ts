import { join } from 'node:path';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import {
  CONTENT_PREFIX,
  EVENT_PREFIX,
  eventKey,
  parseEventRow,
  parsePosition,
  POSITION_PREFIX,
  seqOfKey,
} from '../../log/rows.js';
import type { Database } from '../../log/log.js';
import { openFailure, openLevel, readFailure, repairLevel } from '../../log/leveldb/open-level.js';
import { rowsOfKind, type StoredRow, StoredRows } from '../../log/stored-rows.js';
import type { StoredEvent } from '../../model/events.js';
import { NamedContent } from '../verify/content-check.js';
import { eventsText, type SeqRange } from '../verify/lost-events.js';
import type { RebuildOptions } from './rebuild.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { forgetDerivedRows } from '../../log/tree-rows.js';
import { LevelLog } from '../../log/leveldb/level-log.js';
import { CheckpointKeeper, readCheckpointFile } from '../open/checkpoint-keeper.js';
import { checkFree } from '../open/lock.js';
import { inspectDatabase } from '../open/inspect-database.js';
import { openDatabase } from '../open/open-database.js';
import type { Sidecar } from '../open/sidecar.js';
import { WholeTables } from '../open/whole-tables.js';
import { removeDurably } from '../files/files.js';
import { copyLog, type LogFolders, swapLog } from '../files/log-folders.js';

/** Findings on a database's events, each checked separately. */
interface ExaminedLog {
  /** Seq of the last whole event. */
  readonly last: number;
  /** Ranges of missing or damaged events up to `last`. */
  readonly lost: readonly SeqRange[];
  /** Seq of the event that must end the last event's transaction. */
  readonly end: number;
  readonly named: NamedContent;
}

/** Checks every event of a database, past any damage. Changes nothing. */
async function examineLog(database: Database, { onProgress, signal }: RebuildOptions): Promise<ExaminedLog> {
  const rows = new StoredRows({ database, failure: (cause) => readFailure(cause, false) });
  const named = new NamedContent();
  const lost: SeqRange[] = [];
  let last = 0;
  let end = 0;
  try {
    for await (const event of wholeEvents(rows)) {
      throwIfAborted(signal);
      if (event.seq > last + 1) lost.push({ first: last + 1, last: event.seq - 1 });
      last = event.seq;
      end = event.transaction.first + event.transaction.count - 1;
      named.add(event);
      if (last % PROGRESS_EVENTS === 0) onProgress?.({ what: 'events', done: last, total: undefined });
    }
  } finally {
    await rows.close();
  }
  return { last, lost, end, named };
}

const PROGRESS_EVENTS = 1_000;

/** Returns the ranges of lost events; none when the log is whole and has at least `expected`. */
function lostEvents({ lost, last, end }: ExaminedLog, expected: number): readonly SeqRange[] {
  const goal = Math.max(expected, end);
  return goal > last ? [...lost, { first: last + 1, last: goal }] : lost;
}

function beyondRepair(lost: readonly SeqRange[], data: Readonly<Record<string, unknown>>): StoreError {
  const message = `cannot rebuild the store: ${eventsText(lost)} can no longer be read; restore a backup`;
  return new StoreError('LOG_CORRUPT', message, { data: { ...data, remedy: 'restore' } });
}

/** Yields the events whose records match their leaf hash and seq. */
async function* wholeEvents(rows: StoredRows): AsyncGenerator<StoredEvent> {
  for await (const row of rows.read(rowsOfKind(EVENT_PREFIX), () => undefined)) {
    const event = wholeEvent(row);
    if (event !== undefined) yield event;
  }
}

function wholeEvent([key, row]: StoredRow): StoredEvent | undefined {
  if (key.length !== eventKey(0).length) return undefined;
  try {
    return parseEventRow(row, seqOfKey(key));
  } catch (error) {
    // Counted as lost.
    if (error instanceof StoreError && error.kind === 'Corrupt') return undefined;
    throw error;
  }
}

/** Bytes of rows per write. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Copies from `from`, whose events are whole, into a new database at `to`: events, named content
 * that has its digest, and consumer positions. Erased content that reappears from LevelDB's old
 * files is dropped. Returns the lost content. Durable on return.
 */
async function salvageRows(
  from: Database,
  to: string,
  { last, named }: ExaminedLog,
  options: RebuildOptions,
): Promise<Digest[]> {
  const fresh = await openLevel(to, true);
  const rows = new StoredRows({ database: from, failure: (cause) => readFailure(cause, false) });
  try {
    const writer = new RowWriter(fresh, options.signal);
    let done = 0;
    for await (const row of rows.read(rowsOfKind(EVENT_PREFIX), () => undefined)) {
      await writer.put(row);
      options.onProgress?.({ what: 'log', done: ++done, total: last });
    }
    for await (const row of rows.read(rowsOfKind(CONTENT_PREFIX), () => undefined)) {
      const digest = digestFromHash(row[0], 1);
      if (digestOf(row[1]) === digest && named.take(digest)) await writer.put(row);
    }
    for await (const row of rows.read(rowsOfKind(POSITION_PREFIX), () => undefined)) {
      if (isPosition(row, last)) await writer.put(row);
    }
    await writer.end();
    return [...named.left()];
  } finally {
    await rows.close();
    await fresh.close();
  }
}

// A consumer whose position is lost restarts, which it must tolerate anyway.
function isPosition([, value]: StoredRow, last: number): boolean {
  try {
    return parsePosition(value).seq <= last;
  } catch {
    return false;
  }
}

class RowWriter {
  readonly #database: Database;
  readonly #signal: AbortSignal | undefined;
  #rows: StoredRow[] = [];
  #bytes = 0;

  constructor(database: Database, signal: AbortSignal | undefined) {
    this.#database = database;
    this.#signal = signal;
  }

  async put(row: StoredRow): Promise<void> {
    this.#rows.push(row);
    this.#bytes += row[1].length;
    if (this.#bytes >= BATCH_BYTES) await this.end();
  }

  async end(): Promise<void> {
    throwIfAborted(this.#signal);
    const batch = this.#database.batch();
    for (const [key, value] of this.#rows) batch.put(key, value);
    this.#rows = [];
    this.#bytes = 0;
    await batch.write({ sync: true });
  }
}

/** Result of rebuilding a log. */
export interface RebuiltLog {
  /** Path of the damaged log, when it was replaced. */
  readonly damagedLog: string | undefined;
  readonly lostContent: readonly Digest[];
}

/**
 * Rebuilds a store's log so that it opens: rows derived from the events are rewritten, and where
 * LevelDB no longer has all events, the whole database is. The log is inspected in a copy, since
 * LevelDB removes unknown files when it opens a damaged one.
 * @throws {StoreError} LOG_CORRUPT when events are lost, or the log does not match its checkpoint;
 *   nothing was changed then
 */
export async function rebuildLog(folders: LogFolders, sidecar: Sidecar, options: RebuildOptions): Promise<RebuiltLog> {
  await checkFree(folders.log);
  // A rebuild, even an aborted one, is a reason to distrust earlier findings.
  await WholeTables.forget(folders.directory);
  // LevelDB silently drops damage in its write-ahead log: events behind it are still expected.
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

/** Whether LevelDB opens a copy of the log and has every event in it. */
async function isWholeCopy(folders: LogFolders, expected: number, options: RebuildOptions): Promise<boolean> {
  const copy = join(folders.working, 'copy');
  await copyLog(folders.log, copy, copyProgress(options), options.signal);
  try {
    const examined = await withDatabase(copy, (database) => examineLog(database, options));
    return lostEvents(examined, expected).length === 0;
  } catch (error) {
    // A disk failure on the copy says nothing about the log.
    if (isStoreError(error, 'LOG_CORRUPT')) return false;
    throw error;
  } finally {
    await removeDurably(copy);
  }
}

function copyProgress({ onProgress }: RebuildOptions): (bytes: number) => void {
  return (done) => onProgress?.({ what: 'copy', done, total: undefined });
}

async function salvageLog(
  folders: LogFolders,
  expected: number,
  sidecar: Sidecar,
  options: RebuildOptions,
): Promise<RebuiltLog> {
  const copy = join(folders.working, 'repaired');
  const fresh = join(folders.working, 'log');
  await copyLog(folders.log, copy, copyProgress(options), options.signal);
  await repairLevel(copy);
  const lostContent = await withDatabase(copy, async (database) => {
    const examined = await examineLog(database, options);
    const lost = lostEvents(examined, expected);
    if (lost.length > 0) throw beyondRepair(lost, { lost: examined.lost, last: examined.last, expected });
    return salvageRows(database, fresh, examined, options);
  });
  await renewRows(fresh, folders.directory, sidecar, options);
  throwIfAborted(options.signal);
  // Another process may have opened the store since: it must not continue in the old log.
  await checkFree(folders.log);
  return { damagedLog: await swapLog(folders, fresh), lostContent };
}

/** Rewrites the rows derived from the events, and checks the log against its checkpoint. */
async function renewRows(
  location: string,
  directory: string,
  { origin }: Sidecar,
  { signer, onNotice = () => undefined }: RebuildOptions,
): Promise<void> {
  await withDatabase(location, async (database) => {
    const failure = (cause: unknown) => readFailure(cause, false);
    await forgetDerivedRows({ database, failure, opened: (rows) => rows });
  });
  const log = await LevelLog.open(location, { createIfMissing: false, openDatabase });
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
    // Read errors are StoreErrors already; the rest comes from writing rows.
    throw cause instanceof StoreError ? cause : openFailure(location, cause);
  } finally {
    await database.close();
  }
}

/** The least number of events that the checkpoint proves. */
async function expectedSize(directory: string): Promise<number> {
  const bytes = await readCheckpointFile(directory);
  return bytes === undefined ? 0 : parseCheckpoint(bytes).size;
}
