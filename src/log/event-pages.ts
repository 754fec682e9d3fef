import { StoreError, throwIfAborted } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import { eventKey, parseEntryRow, parseEventRow } from './rows.js';
import type { LogEntry, LogSource, OpenRows, PageOptions, PageRange } from './log.js';

/** Makes of a row, read at `seq`, what a page holds, after the row proved to be what was written there. */
type ParseRow<Item> = (row: Uint8Array, seq: number) => Item;

/** Gives rows in order: what is used of LevelDB's iterator. */
interface Rows {
  nextv(size: number): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** Events of a page when the reader does not say: about 200 KiB of records. */
const PAGE_EVENTS = 1_000;
/** Bytes that LevelDB hands over at a time; more than a page, so that a page is one call. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** Gives the events of a range in pages, each event checked against its hash and for gaps before its page is given. */
export function eventPages(source: LogSource, range: PageRange): AsyncGenerator<readonly StoredEvent[]> {
  return parsedPages(source, range, parseEventRow);
}

/** Gives the events of a range as `eventPages` does, each with its record. */
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

/** The error for an event that is not where it must be. */
export function missingEvent(seq: number): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} is missing from the log`, { data: { seq } });
}

function openRows({ database, failure, opened }: LogSource, { first, last, reverse = false }: PageRange): Rows {
  try {
    // Without keys: each record says its own seq, and a key is one more object to make for every event.
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
  // A failure that comes while the reader is busy with the page before waits for it, and must not end the process.
  rows.catch(() => undefined);
  return rows;
}

/** What a read meets that was told to begin anew. */
class Interrupted extends Error {}

/** One read of events, which can be told to begin anew from where it is. */
class EventRead {
  readonly #rows = new Set<OpenRows>();
  #wasInterrupted = false;

  /** Whether its iterators were closed under it. */
  get wasInterrupted(): boolean {
    return this.#wasInterrupted;
  }

  /** To be passed on as `opened` of its source. Throws when the read was to begin anew before this iterator was made. */
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
 * The reads of a log that may last. LevelDB keeps for an iterator all that was there when it was made, also what was removed
 * since: so they are interrupted, or waited for, when removed bytes have to leave the disk.
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

  /** Resolves with what a short read gives, which is waited for. */
  async short<Result>(read: () => Promise<Result>): Promise<Result> {
    const held = this.content({ close: async () => undefined });
    try {
      return await read();
    } finally {
      await held.close();
    }
  }

  /** Takes note of a reader of content, which cannot go on elsewhere; returns it with a close that is noticed. */
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

  /** Resolves when no read holds what was there before this call; with false when they are no longer waited for. */
  async letGo(): Promise<boolean> {
    // Readers that come later hold what is there now: waiting for them too might never end.
    const before = [...this.#content];
    while (!this.#isEnded && before.some((reader) => this.#content.has(reader))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#isEnded) return false;
    await this.interruptEvents();
    return true;
  }

  /** Has every read of events begin anew from where it is. */
  async interruptEvents(): Promise<void> {
    await Promise.all([...this.#events].map((read) => read.interrupt()));
  }

  /** From now on nobody waits for a read. */
  end(): void {
    this.#isEnded = true;
    this.#tell();
  }

  #tell(): void {
    for (const told of this.#waiting.splice(0)) told();
  }
}

/** A log whose database may be taken away under its readers. */
export interface ResumableLog {
  readonly reads: OpenReads;
  readonly headSeq: () => number;
  readonly source: () => LogSource;
  readonly isClosed: () => boolean;
  /** Whether a recovery put another database in the place of this one. */
  readonly wasReplaced: (source: LogSource) => Promise<boolean>;
}

/** What is read of a log, in pages. */
interface ResumableRead<Item> {
  /** Called each time that the read begins, or goes on. */
  readonly read: (source: LogSource, range: PageRange) => AsyncIterable<readonly Item[]>;
  readonly seqOf: (item: Item) => number;
}

/**
 * Gives the pages that `read` gives of the range, default the whole log, and goes on when a recovery takes the database away under it, or
 * it is interrupted.
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
