import { StoreError, throwIfAborted } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import { READ_AHEAD_BYTES } from './stored-rows.js';
import { eventKey, parseEntryRow, parseEventRow, seqOfKey } from './rows.js';
import type { Database, LogPoint, LogEntry, LogSource, OpenRows, PageOptions, PageRange } from './log.js';

/** Verifies the row of `seq` and decodes it into a page item. */
type ParseRow<Item> = (row: Uint8Array, seq: number) => Item;

/** The part of LevelDB's iterator that is used. */
interface Rows {
  nextv(size: number): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** Default page size: about 200 KiB of records. */
const PAGE_EVENTS = 1_000;

/** Yields pages of events, each checked against its hash and for gaps. */
export function eventPages(source: LogSource, range: PageRange): AsyncGenerator<readonly StoredEvent[]> {
  return parsedPages(source, range, parseEventRow);
}

/** Like `eventPages`, with the record of each event. */
export function entryPages(source: LogSource, range: PageRange): AsyncGenerator<readonly LogEntry[]> {
  return parsedPages(source, range, parseEntryRow);
}

async function* parsedPages<Item>(
  source: LogSource,
  range: PageRange,
  parse: ParseRow<Item>,
): AsyncGenerator<readonly Item[]> {
  const { first, last, reverse = false, pageSize = PAGE_EVENTS, signal } = range;
  if (first > last) return;
  throwIfAborted(signal);
  const iterator = openRows(source, range);
  let ahead = nextRows(source, iterator, pageSize);
  try {
    let expected = reverse ? last : first;
    for (;;) {
      const rows = await ahead;
      throwIfAborted(signal);
      if (rows.length === 0) break;
      // LevelDB reads the next page on its own thread while this one is checked and folded.
      ahead = nextRows(source, iterator, pageSize);
      const [from, step] = [expected, reverse ? -1 : 1];
      const page = rows.map((row, at) => parse(row, from + at * step));
      expected += step * rows.length;
      yield page;
    }
    const end = reverse ? first - 1 : last + 1;
    if (expected !== end) throw missingEvent(expected);
  } finally {
    await Promise.allSettled([ahead]);
    await iterator.close();
  }
}

/** The error for a gap in the log. */
export function missingEvent(seq: number): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} is missing from the log`, { data: { seq } });
}

function openRows({ database, failure, opened }: LogSource, { first, last, reverse = false }: PageRange): Rows {
  try {
    // No keys: each record has its seq, and a key is one more object per event.
    const rows = database.values({
      gte: eventKey(first),
      lte: eventKey(last),
      reverse,
      highWaterMarkBytes: READ_AHEAD_BYTES,
    });
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
