import { StoreError, throwIfAborted } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import { READ_AHEAD_BYTES } from './stored-rows.js';
import { lastRowEnd, MAX_ROW_EVENTS, parseEventRow, readEventRow } from './event-rows.js';
import { eventKey, seqOfKey } from './rows.js';
import type { Database, LogPoint, LogEntry, LogSource, OpenRows, PageOptions, PageRange } from './log.js';

/** Makes a page item of an event and its record, a view of its row. */
type MakeItem<Item> = (event: StoredEvent, record: Uint8Array) => Item;

/** The part of LevelDB's iterator that is used. */
interface Rows {
  nextv(size: number): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** Default page size: about 200 KiB of records. */
const PAGE_EVENTS = 1_000;

/** Yields pages of events, each checked against the checksum of its row and for gaps. */
export function eventPages(source: LogSource, range: PageRange): AsyncGenerator<readonly StoredEvent[]> {
  return parsedPages(source, range, (event) => event);
}

/** Like `eventPages`, with the record of each event. */
export function entryPages(source: LogSource, range: PageRange): AsyncGenerator<readonly LogEntry[]> {
  return parsedPages(source, range, (event, record) => ({ event, record }));
}

async function* parsedPages<Item>(
  source: LogSource,
  range: PageRange,
  make: MakeItem<Item>,
): AsyncGenerator<readonly Item[]> {
  const { first, last, reverse = false, pageSize = PAGE_EVENTS, signal } = range;
  if (first > last) return;
  throwIfAborted(signal);
  const iterator = openRows(source, range, await lastKey(source, range));
  let rowCount = Math.max(1, Math.ceil(pageSize / MAX_ROW_EVENTS));
  let ahead = nextRows(source, iterator, rowCount);
  let items: Item[] = [];
  try {
    let expected = reverse ? last : first;
    for (;;) {
      const rows = await ahead;
      throwIfAborted(signal);
      if (rows.length === 0) break;
      const before = expected;
      // LevelDB reads the next page on its own thread while this one is checked and folded.
      ahead = nextRows(source, iterator, rowCount);
      for (const row of rows) {
        if (!reverse && expected > last) break;
        expected = addRow(items, row, { expected, range, make });
      }
      // As many rows as a page takes, if the next are like these.
      const perRow = Math.max(1, Math.abs(expected - before) / rows.length);
      rowCount = Math.max(1, Math.floor(pageSize / perRow));
      let at = 0;
      for (; items.length - at >= pageSize; at += pageSize) yield items.slice(at, at + pageSize);
      if (at > 0) items = items.slice(at);
    }
    const end = reverse ? first - 1 : last + 1;
    if (items.length > 0) yield items;
    if (expected !== end) throw missingEvent(expected);
  } finally {
    await Promise.allSettled([ahead]);
    await iterator.close();
  }
}

interface RowPlace<Item> {
  /** Seq of the next event of the read. */
  readonly expected: number;
  readonly range: PageRange;
  readonly make: MakeItem<Item>;
}

/** Adds the events of the next row that are in the range, in its direction, and returns the seq expected then. */
function addRow<Item>(items: Item[], row: Uint8Array, { expected, range, make }: RowPlace<Item>): number {
  const { first, last, reverse = false } = range;
  if (!reverse) {
    const take = (event: StoredEvent, record: Uint8Array): void => void items.push(make(event, record));
    const end = readEventRow(row, expected, { first: expected, last, take }).last;
    return Math.min(end, last) + 1;
  }
  const ofRow: Item[] = [];
  const take = (event: StoredEvent, record: Uint8Array): void => void ofRow.push(make(event, record));
  const start = readEventRow(row, expected, { first, last: expected, take }).first;
  for (const item of ofRow.reverse()) items.push(item);
  return Math.max(start, first) - 1;
}

/** The error for a gap in the log. */
export function missingEvent(seq: number): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} is missing from the log`, { data: { seq } });
}

/** Key of the row that has the last event of the range. A read forward may go past it. */
async function lastKey(
  { database, failure, opened }: LogSource,
  { last, reverse = false }: PageRange,
): Promise<Uint8Array> {
  const lte = eventKey(Math.min(lastRowEnd(last), Number.MAX_SAFE_INTEGER));
  if (!reverse || lastRowEnd(last) === last) return lte;
  try {
    const [key] = await opened(database.keys({ gte: eventKey(last), lte, limit: 1 })).all();
    return key ?? eventKey(last);
  } catch (cause) {
    throw failure(cause);
  }
}

function openRows(
  { database, failure, opened }: LogSource,
  { first, reverse = false }: PageRange,
  lte: Uint8Array,
): Rows {
  try {
    // No keys: each record has its seq, and a key is one more object per event.
    const rows = database.values({ gte: eventKey(first), lte, reverse, highWaterMarkBytes: READ_AHEAD_BYTES });
    return opened(rows);
  } catch (cause) {
    throw failure(cause);
  }
}

function nextRows({ failure }: LogSource, iterator: Rows, pageSize: number): Promise<Uint8Array[]> {
  const rows = iterator.nextv(pageSize).catch((cause: unknown) => {
    throw failure(cause);
  });
  // A rejection during the previous page must not crash the process.
  rows.catch(() => undefined);
  return rows;
}

/** Thrown inside a read that must restart. */
class Interrupted extends Error {}

class EventRead {
  readonly #rows = new Set<OpenRows>();
  #wasInterrupted = false;

  get wasInterrupted(): boolean {
    return this.#wasInterrupted;
  }

  /** The source's `opened`. Throws when the read was interrupted before the iterator was made. */
  readonly opened = <Rows extends OpenRows>(rows: Rows): Rows => {
    if (this.#wasInterrupted) {
      void rows.close();
      throw new Interrupted();
    }
    this.#rows.add(rows);
    return rows;
  };

  async interrupt(): Promise<void> {
    this.#wasInterrupted = true;
    await Promise.all([...this.#rows].map((rows) => rows.close()));
    this.#rows.clear();
  }
}

/**
 * The open reads of a log. LevelDB keeps an iterator's snapshot, including rows removed since:
 * reads must end, or restart, before removed bytes can leave the disk.
 */
export class OpenReads {
  readonly #events = new Set<EventRead>();
  readonly #content = new Set<OpenRows>();
  #waiting: (() => void)[] = [];
  #isEnded = false;

  beginEvents(): EventRead {
    const read = new EventRead();
    this.#events.add(read);
    return read;
  }

  endEvents(read: EventRead): void {
    this.#events.delete(read);
  }

  /** Runs a short read that `letGo` waits for. */
  async short<Result>(read: () => Promise<Result>): Promise<Result> {
    const held = this.content({ close: async () => undefined });
    try {
      return await read();
    } finally {
      await held.close();
    }
  }

  /** Registers a content reader, which cannot restart; returns it with a tracked `close`. */
  content<Rows extends OpenRows>(rows: Rows): Rows {
    const reader: Rows = {
      ...rows,
      close: async () => {
        await rows.close();
        this.#content.delete(reader);
        this.#tell();
      },
    };
    this.#content.add(reader);
    return reader;
  }

  /** Resolves once no read holds an earlier snapshot; with false when waiting was aborted. */
  async letGo(): Promise<boolean> {
    // Later readers hold current rows; waiting for them too might never end.
    const before = [...this.#content];
    while (!this.#isEnded && before.some((reader) => this.#content.has(reader))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#isEnded) return false;
    await this.interruptEvents();
    return true;
  }

  /** Restarts every event read from its position. */
  async interruptEvents(): Promise<void> {
    await Promise.all([...this.#events].map((read) => read.interrupt()));
  }

  /** Aborts all waiting, now and later. */
  end(): void {
    this.#isEnded = true;
    this.#tell();
  }

  #tell(): void {
    for (const told of this.#waiting.splice(0)) told();
  }
}

/** A log whose database may be replaced during reads. */
export interface ResumableLog {
  readonly reads: OpenReads;
  readonly headSeq: () => number;
  readonly source: () => LogSource;
  readonly isClosed: () => boolean;
  /** Whether a recovery replaced this source's database. */
  readonly wasReplaced: (source: LogSource) => Promise<boolean>;
}

interface ResumableRead<Item> {
  /** Called at the start and after each interruption. */
  readonly read: (source: LogSource, range: PageRange) => AsyncIterable<readonly Item[]>;
  readonly seqOf: (item: Item) => number;
}

/**
 * Yields the pages of `read` over the range (default the whole log); resumes after a recovery
 * replaced the database, and after an interruption.
 */
export async function* resumedPages<Item>(
  log: ResumableLog,
  { from = 1, to = log.headSeq(), ...rest }: PageOptions,
  { read, seqOf }: ResumableRead<Item>,
): AsyncGenerator<readonly Item[]> {
  let first = Math.max(1, from);
  let last = Math.max(0, to);
  while (first <= last) {
    const events = log.reads.beginEvents();
    const source = { ...log.source(), opened: events.opened };
    try {
      for await (const page of read(source, { ...rest, first, last })) {
        const lastItem = page.at(-1);
        const end = lastItem === undefined ? undefined : seqOf(lastItem);
        if (end !== undefined && rest.reverse === true) last = end - 1;
        else if (end !== undefined) first = end + 1;
        yield page;
      }
      return;
    } catch (error) {
      const goesOn = (await log.wasReplaced(source)) || (events.wasInterrupted && !log.isClosed());
      if (!goesOn) throw error;
    } finally {
      log.reads.endEvents(events);
    }
  }
}

/**
 * Resolves with the last event of a newly opened log.
 * @throws {StoreError} LOG_CORRUPT when it is corrupt, or not the last of its transaction
 */
export async function readEnd({ database, failure }: LogSource): Promise<LogPoint> {
  const [row] = await lastEventRow(database).catch((cause: unknown) => {
    throw failure(cause);
  });
  if (row === undefined) return { seq: 0, time: 0 };
  const { seq, time, transaction } = parseEventRow(row[1], seqOfKey(row[0]));
  const end = transaction.first + transaction.count - 1;
  if (seq === end) return { seq, time };
  throw new StoreError('LOG_CORRUPT', `the log ends at seq ${seq}, inside a transaction that ends at ${end}`, {
    data: { seq, transaction },
  });
}

function lastEventRow(database: Database): Promise<[Uint8Array, Uint8Array][]> {
  const range = { gte: eventKey(1), lte: eventKey(Number.MAX_SAFE_INTEGER), reverse: true, limit: 1 };
  return database.iterator(range).all();
}
