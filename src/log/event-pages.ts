import { throwIfAborted } from '../abort.js';
import { StoreError } from '../errors.js';
import type { Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { parseEntryRow, parseEventRow } from './event-row.js';
import { eventKey } from './keys.js';
import type { LogEntry } from './log.js';
import type { LogSource, PageRange } from './log-source.js';

/** Makes of a row, read at `seq`, what a page holds, after the row proved to be what was written there. */
type ParseRow<Item> = (row: Uint8Array, seq: number, hash: Sha256) => Item;

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
      const page = rows.map((row, at) => parse(row, from + at * step, source.hash));
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
