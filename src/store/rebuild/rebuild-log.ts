import { join } from 'node:path';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { formatEventRows, wholeEntries } from '../../log/event-rows.js';
import {
  CONTENT_PREFIX,
  EVENT_PREFIX,
  EVENT_KEY_BYTES,
  formatPosition,
  parsePosition,
  POSITION_PREFIX,
  seqOfKey,
} from '../../log/rows.js';
import type { ConsumerPosition, Database } from '../../log/log.js';
import { openFailure, openLevel, readFailure, repairLevel } from '../../log/leveldb/open-level.js';
import { rowsOfKind, type StoredRow, StoredRows } from '../../log/stored-rows.js';
import { NamedContent } from '../verify/content-check.js';
import { eventsText, type SeqRange } from '../verify/salvage-forecast.js';
import type { RebuildOptions } from './rebuild.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import { checkOriginOf, parseCheckpoint } from '../../log/checkpoint.js';
import { forgetDerivedRows } from '../../log/tree-rows.js';
import { LevelLog } from '../../log/leveldb/level-log.js';
import { CHECKPOINT_FILE, CheckpointKeeper, readCheckpointFile } from '../open/checkpoint-keeper.js';
import { checkFree } from '../open/lock.js';
import { inspectDatabase } from '../open/inspect-database.js';
import { openDatabase } from '../open/open-database.js';
import type { Sidecar } from '../open/sidecar.js';
import { WholeTables } from '../open/whole-tables.js';
import { removeDurably } from '../files/files.js';
import { copyLog, type LogFolders, setCheckpointAside, swapLog } from '../files/log-folders.js';

/** Findings on a database's events, each checked separately. */
interface ExaminedLog {
  /** Seq of the last whole event. */
  readonly last: number;
  /** Seq of the last event that has a row, whole or not. */
  readonly lastRow: number;
  /** Seq up to which every transaction is whole. */
  readonly whole: number;
  /** Ranges of missing or damaged events up to `last`. */
  readonly lost: readonly SeqRange[];
  /** Seq of the event that must end the last event's transaction. */
  readonly end: number;
  readonly named: NamedContent;
}

/** Checks every event of a database up to `limit`, past any damage. Changes nothing. */
async function examineLog(
  database: Database,
  { onProgress, signal }: RebuildOptions,
  limit = Number.POSITIVE_INFINITY,
): Promise<ExaminedLog> {
  const rows = new StoredRows({ database, failure: (cause) => readFailure(cause, false) });
  const named = new NamedContent();
  const lost: SeqRange[] = [];
  let [last, lastRow, whole, end] = [0, 0, 0, 0];
  try {
    for await (const row of eventRows(rows)) {
      throwIfAborted(signal);
      if (last >= limit) break;
      lastRow = Math.min(seqOfKey(row[0]), limit);
      for (const { event } of wholeEntries(row)) {
        const { seq, transaction } = event;
        if (seq > limit) break;
        // A repaired database may have an event in two rows.
        if (seq <= last) continue;
        if (seq > last + 1) lost.push({ first: last + 1, last: seq - 1 });
        last = seq;
        end = transaction.first + transaction.count - 1;
        if (lost.length === 0 && end === seq) whole = seq;
        named.add(event);
        if (last % PROGRESS_EVENTS === 0) onProgress?.({ what: 'events', done: last, total: undefined });
      }
    }
  } finally {
    await rows.close();
  }
  return { last, lastRow, whole, lost, end, named };
}

const PROGRESS_EVENTS = 1_000;

/** Returns the ranges of lost events; none when the log is whole and has at least `expected`. */
function lostEvents({ lost, last, lastRow, end }: ExaminedLog, expected: number): readonly SeqRange[] {
  const goal = Math.max(expected, end, lastRow);
  return goal > last ? [...lost, { first: last + 1, last: goal }] : lost;
}

/**
 * Returns the events that a rebuild continues without, as the caller accepts; undefined when none is lost.
 * @throws {StoreError} LOG_CORRUPT for lost events without `acceptLoss`, LOSS_MISMATCH for another one
 */
function acceptedLoss(examined: ExaminedLog, expected: number, acceptLoss: number | undefined): SeqRange | undefined {
  const lost = lostEvents(examined, expected);
  const { whole, last } = examined;
  const end = lost.at(-1)?.last;
  if (end === undefined) {
    if (acceptLoss === undefined) return undefined;
    const message = `cannot rebuild the store with a loss after event ${acceptLoss}: no event is lost`;
    throw new StoreError('LOSS_MISMATCH', message, { data: { given: acceptLoss } });
  }
  const loss = { first: whole + 1, last: Math.max(end, last) };
  if (acceptLoss === whole) return loss;
  const kept = whole === 0 ? 'keeps no event' : `keeps ${eventsText([{ first: 1, last: whole }])}`;
  const choice = `a rebuild that accepts the loss after event ${whole} ${kept}, and loses ${eventsText([loss])} permanently`;
  const unread = `cannot rebuild the store: ${eventsText(lost)} can no longer be read`;
  const data = { lost, last, expected, acceptLoss: whole, loss };
  if (acceptLoss !== undefined) {
    const message = `${unread}, so the loss is not after event ${acceptLoss}: ${choice}`;
    throw new StoreError('LOSS_MISMATCH', message, { data: { ...data, given: acceptLoss } });
  }
  const message = `${unread}; restore a backup. Without one, ${choice} (\`rebuild --accept-loss ${whole}\`)`;
  throw new StoreError('LOG_CORRUPT', message, { data: { ...data, remedy: 'restore' } });
}

/** Yields the rows that have the key of an event. */
async function* eventRows(rows: StoredRows): AsyncGenerator<StoredRow> {
  for await (const row of rows.read(rowsOfKind(EVENT_PREFIX), () => undefined)) {
    if (row[0].length === EVENT_KEY_BYTES) yield row;
  }
}

/** Bytes of rows per write. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Copies from `from`, whose events up to the last one are whole, into a new database at `to`: events, named content
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
    for await (const row of eventRows(rows)) {
      if (done >= last) break;
      for (const kept of rowsUpTo(row, last)) await writer.put(kept);
      done = Math.min(seqOfKey(row[0]), last);
      options.onProgress?.({ what: 'log', done, total: last });
    }
    for await (const row of rows.read(rowsOfKind(CONTENT_PREFIX), () => undefined)) {
      const digest = digestFromHash(row[0], 1);
      if (digestOf(row[1]) === digest && named.take(digest)) await writer.put(row);
    }
    for await (const [key, row] of rows.read(rowsOfKind(POSITION_PREFIX), () => undefined)) {
      const position = positionOf(row);
      if (position === undefined) continue;
      // Behind lost events, the next one that is written is new to the consumer.
      const seq = options.acceptLoss === undefined ? position.seq : Math.min(position.seq, last);
      if (seq <= last) await writer.put([key, formatPosition({ ...position, seq })]);
    }
    await writer.end();
    return [...named.left()];
  } finally {
    await rows.close();
    await fresh.close();
  }
}

/** A row without its events after `last`. */
function rowsUpTo(row: StoredRow, last: number): readonly StoredRow[] {
  if (seqOfKey(row[0]) <= last) return [row];
  const kept = wholeEntries(row).filter(({ event }) => event.seq <= last);
  const records = kept.map(({ record }) => record);
  return formatEventRows(kept[0]?.event.seq ?? 1, records).map(({ key, value }) => [key, value]);
}

// A consumer whose position is lost restarts, which it must tolerate anyway.
function positionOf(row: Uint8Array): ConsumerPosition | undefined {
  try {
    return parsePosition(row);
  } catch {
    return undefined;
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
  readonly acceptedLoss?: SeqRange | undefined;
  readonly lostCheckpoint?: string | undefined;
}

/**
 * Rebuilds a store's log so that it opens: rows derived from the events are rewritten, and where
 * LevelDB no longer has all events, the whole database is. The log is inspected in a copy, since
 * LevelDB removes unknown files when it opens a damaged one.
 * @throws {StoreError} LOG_CORRUPT when events are lost, or the log does not match its checkpoint;
 *   LOSS_MISMATCH; nothing was changed then
 */
export async function rebuildLog(folders: LogFolders, sidecar: Sidecar, options: RebuildOptions): Promise<RebuiltLog> {
  await checkFree(folders.log);
  // A rebuild, even an aborted one, is a reason to distrust earlier findings.
  await WholeTables.forget(folders.directory);
  // LevelDB silently drops damage in its write-ahead log: events behind it are still expected.
  const { faults, lastEvent } = await inspectDatabase(folders.log);
  const expected = Math.max(await expectedSize(folders.directory), lastEvent);
  try {
    const { acceptLoss } = options;
    if (acceptLoss === undefined && faults.length === 0 && (await isWholeCopy(folders, expected, options))) {
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
  const { loss, lostContent } = await withDatabase(copy, async (database) => {
    const examined = await examineLog(database, options);
    const accepted = acceptedLoss(examined, expected, options.acceptLoss);
    const kept = accepted === undefined ? examined : await examineLog(database, options, accepted.first - 1);
    return { loss: accepted, lostContent: await salvageRows(database, fresh, kept, options) };
  });
  const isAhead = loss !== undefined && (await provenSize(folders.directory, sidecar)) >= loss.first;
  await renewRows(fresh, folders.directory, sidecar, { ...options, isAhead });
  throwIfAborted(options.signal);
  // Another process may have opened the store since: it must not continue in the old log.
  await checkFree(folders.log);
  const damagedLog = await swapLog(folders, fresh);
  if (loss === undefined) return { damagedLog, lostContent };
  // After the log: a crash before leaves a store that is refused as before.
  const lostCheckpoint = isAhead
    ? await setCheckpointAside(folders.directory, CHECKPOINT_FILE, loss.first - 1)
    : undefined;
  noteLoss({ damagedLog, loss, lostCheckpoint }, options);
  return { damagedLog, lostContent, acceptedLoss: loss, lostCheckpoint };
}

function noteLoss(
  { damagedLog, loss, lostCheckpoint }: { damagedLog: string; loss: SeqRange; lostCheckpoint: string | undefined },
  { onNotice }: RebuildOptions,
): void {
  const proof =
    lostCheckpoint === undefined ? '' : `, and the checkpoint that proves them is kept in ${lostCheckpoint}`;
  onNotice?.(`the store continues without ${eventsText([loss])}: what is left of the log is in ${damagedLog}${proof}`);
}

/**
 * Rewrites the rows derived from the events, and checks the log against its checkpoint, unless that is
 * ahead of it, and against what the key signed.
 */
async function renewRows(
  location: string,
  directory: string,
  { origin }: Sidecar,
  { signer, onNotice = () => undefined, isAhead = false }: RebuildOptions & { readonly isAhead?: boolean },
): Promise<void> {
  await withDatabase(location, async (database) => {
    const failure = (cause: unknown) => readFailure(cause, false);
    await forgetDerivedRows({ database, failure, opened: (rows) => rows });
  });
  const log = await LevelLog.open(location, { createIfMissing: false, openDatabase });
  try {
    const keeper = new CheckpointKeeper({ directory, origin, log, signer, onNotice });
    await (isAhead ? keeper.check(undefined) : keeper.check());
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

/** As `expectedSize`. @throws {StoreError} CHECKPOINT_FOREIGN for the checkpoint of another log */
async function provenSize(directory: string, { origin }: Sidecar): Promise<number> {
  const bytes = await readCheckpointFile(directory);
  if (bytes === undefined) return 0;
  const checkpoint = parseCheckpoint(bytes);
  checkOriginOf(checkpoint, origin);
  return checkpoint.size;
}
