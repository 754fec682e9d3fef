import { Level } from 'level';
import { throwIfAborted } from '../abort.js';
import { StoreError } from '../errors.js';
import { type Digest, digestOf, HASH_BYTES, type Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { formatEventRow, parseEventRow } from './event-row.js';
import { contentKey, eventKey, seqOfEventKey } from './keys.js';
import type { AppendBatch, Head, Log, PageOptions } from './log.js';
import { openFailure } from './open-failure.js';
import { readFailure } from './read-failure.js';

type Database = Level<Uint8Array, Uint8Array>;
type Row = Uint8Array;

/** Gives rows in order: what is used of LevelDB's iterator. */
interface Rows {
  nextv(size: number): Promise<Row[]>;
  close(): Promise<void>;
}

/** Events of a page when the reader does not say: about 200 KiB of records. */
const PAGE_EVENTS = 1_000;
/** Bytes that LevelDB hands over at a time; more than a page, so that a page is one call. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** The events from `first` to `last`, in pages. */
interface PageRange extends Omit<PageOptions, 'from' | 'to'> {
  readonly first: number;
  readonly last: number;
}

const EMPTY_HEAD: Head = { seq: 0, time: 0 };

export interface LevelLogOptions {
  /** Make the database when there is none. Only ever true for a store that does not exist yet (LEVELDB: CURRENT missing). */
  readonly createIfMissing: boolean;
  readonly hash: Sha256;
  /** Opens the database; tests pass one that fails on demand. */
  readonly openDatabase?: (location: string, createIfMissing: boolean) => Promise<Database>;
}

/**
 * The log over LevelDB. Every write is one atomic batch with `sync: true`. The first write that
 * fails ends the database handle: LevelDB 1.20 that carries on after a failed write loses events that it
 * acknowledged later.
 */
export class LevelLog implements Log {
  readonly #location: string;
  readonly #hash: Sha256;
  readonly #openDatabase: (location: string, createIfMissing: boolean) => Promise<Database>;
  #database: Database;
  #head: Head = EMPTY_HEAD;
  #failure: unknown;
  #recovery: Promise<unknown> | undefined;
  #isClosed = false;

  private constructor(location: string, database: Database, options: LevelLogOptions) {
    this.#location = location;
    this.#database = database;
    this.#hash = options.hash;
    this.#openDatabase = options.openDatabase ?? openLevel;
  }

  /**
   * Opens the log at `location` and reads its head.
   * @throws {StoreError} STORE_LOCKED when another handle has it, LOG_CORRUPT when LevelDB finds damage or the
   *   last event is damaged, STORE_NOT_WRITABLE, DISK_FULL, LOG_FAILED
   */
  static async open(location: string, options: LevelLogOptions): Promise<LevelLog> {
    const database = await (options.openDatabase ?? openLevel)(location, options.createIfMissing);
    const log = new LevelLog(location, database, options);
    try {
      log.#head = await log.#readHead();
    } catch (cause) {
      await database.close();
      throw cause;
    }
    return log;
  }

  get head(): Head {
    return this.#head;
  }

  async append({ expectedHead, entries, content }: AppendBatch): Promise<void> {
    if (this.#failure !== undefined) {
      throw new StoreError('LOG_FAILED', 'cannot append: an earlier write failed and is not settled', {
        cause: this.#failure,
      });
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    if (expectedHead !== this.#head.seq || entries[0]?.event.seq !== expectedHead + 1) {
      throw new StoreError('INTERNAL', `cannot append after seq ${expectedHead}: the head is ${this.#head.seq}`);
    }
    try {
      await this.#write(entries, content);
    } catch (cause) {
      // The rows may be in the write-ahead log or not: only a reopened database can tell.
      this.#failure = cause;
      throw new StoreError(
        'OUTCOME_UNKNOWN',
        `the append of ${entries.length} events after seq ${expectedHead} failed`,
        {
          cause,
          data: { expectedHead, count: entries.length },
        },
      );
    }
    this.#head = { seq: last.event.seq, time: last.event.time };
  }

  recover(): Promise<readonly StoredEvent[]> {
    const recovery = this.#recover();
    this.#recovery = recovery.catch(() => undefined);
    return recovery;
  }

  async #recover(): Promise<readonly StoredEvent[]> {
    await this.#database.close();
    // Opening replays the write-ahead log into a table and syncs it: what is found now stays.
    this.#database = await this.#openDatabase(this.#location, false);
    const from = this.#head.seq + 1;
    const head = await this.#readHead();
    if (head.seq < this.#head.seq) {
      throw new StoreError('LOG_CORRUPT', `the log ends at seq ${head.seq}, ${this.#head.seq} was acknowledged`);
    }
    const found: StoredEvent[] = [];
    for await (const page of this.#checkedPages({ first: from, last: head.seq })) found.push(...page);
    this.#head = head;
    this.#failure = undefined;
    return found;
  }

  async *pages(options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    const { from = 1, to = this.#head.seq, ...rest } = options;
    let first = Math.max(1, from);
    let last = Math.max(0, to);
    while (first <= last) {
      const database = this.#database;
      try {
        for await (const page of this.#checkedPages({ ...rest, first, last })) {
          if (options.reverse === true) last -= page.length;
          else first += page.length;
          yield page;
        }
        return;
      } catch (error) {
        // A recovery closes the database under its readers: they go on in the one that it opened.
        await this.#recovery;
        if (this.#database === database || this.#isClosed) throw error;
      }
    }
  }

  async *#checkedPages(range: PageRange): AsyncGenerator<readonly StoredEvent[]> {
    const { first, last, reverse = false, pageSize = PAGE_EVENTS, signal } = range;
    if (first > last) return;
    throwIfAborted(signal);
    const iterator = this.#rows(first, last, reverse);
    let ahead = this.#nextRows(iterator, pageSize);
    try {
      let expected = reverse ? last : first;
      for (;;) {
        const rows = await ahead;
        throwIfAborted(signal);
        if (rows.length === 0) break;
        // LevelDB reads the next page on its own thread while this one is checked and folded.
        ahead = this.#nextRows(iterator, pageSize);
        const page = this.#parsePage(rows, expected, reverse);
        expected += reverse ? -rows.length : rows.length;
        yield page;
      }
      const end = reverse ? first - 1 : last + 1;
      if (expected !== end) throw missingEvent(expected);
    } finally {
      await Promise.allSettled([ahead]);
      await iterator.close();
    }
  }

  content(digest: Digest): Uint8Array | undefined {
    const value = this.#row(contentKey(digest));
    if (value === undefined) return undefined;
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (digestOf(bytes, this.#hash) === digest) return bytes;
    throw new StoreError('CONTENT_CORRUPT', `the content ${digest} is damaged: its bytes have another digest`, {
      data: { digest },
    });
  }

  leafHash(seq: number): Uint8Array | undefined {
    return this.#row(eventKey(seq))?.slice(0, HASH_BYTES);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#database.close();
  }

  #row(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#database.getSync(key);
    } catch (cause) {
      throw readFailure(cause, this.#isClosed);
    }
  }

  #rows(first: number, last: number, reverse: boolean): Rows {
    try {
      // Without keys: each record says its own seq, and a key is one more object to make for every event.
      return this.#database.values({
        gte: eventKey(first),
        lte: eventKey(last),
        reverse,
        highWaterMarkBytes: READ_AHEAD_BYTES,
      });
    } catch (cause) {
      throw readFailure(cause, this.#isClosed);
    }
  }

  #nextRows(iterator: Rows, pageSize: number): Promise<Row[]> {
    const rows = iterator.nextv(pageSize).catch((cause: unknown) => {
      throw readFailure(cause, this.#isClosed);
    });
    // A failure that comes while the reader is busy with the page before waits for it, and must not end the process.
    rows.catch(() => undefined);
    return rows;
  }

  // A chained batch goes straight into LevelDB's own, at half the cost of an array of operations.
  async #write(entries: AppendBatch['entries'], content: AppendBatch['content']): Promise<void> {
    const batch = this.#database.batch();
    for (const { event, record } of entries) batch.put(eventKey(event.seq), formatEventRow(record, this.#hash));
    for (const [digest, value] of content) batch.put(contentKey(digest), value);
    await batch.write({ sync: true });
  }

  #parsePage(rows: readonly Row[], start: number, reverse: boolean): StoredEvent[] {
    let expected = start;
    return rows.map((row) => {
      const event = parseEventRow(row, expected, this.#hash);
      expected += reverse ? -1 : 1;
      return event;
    });
  }

  async #readHead(): Promise<Head> {
    const lastKey = eventKey(Number.MAX_SAFE_INTEGER);
    const last = this.#database.iterator({ gte: eventKey(1), lte: lastKey, reverse: true, limit: 1 }).all();
    const [row] = await last.catch((cause: unknown) => {
      throw readFailure(cause, this.#isClosed);
    });
    if (row === undefined) return EMPTY_HEAD;
    const { seq, time, transaction } = parseEventRow(row[1], seqOfEventKey(row[0]), this.#hash);
    const end = transaction.first + transaction.count - 1;
    if (seq === end) return { seq, time };
    throw new StoreError('LOG_CORRUPT', `the log ends at seq ${seq}, inside a transaction that ends at ${end}`, {
      data: { seq, transaction },
    });
  }
}

function missingEvent(seq: number): StoreError {
  return new StoreError('LOG_CORRUPT', `event ${seq} is missing from the log`, { data: { seq } });
}

async function openLevel(location: string, createIfMissing: boolean): Promise<Database> {
  const database: Database = new Level(location, { keyEncoding: 'view', valueEncoding: 'view', createIfMissing });
  try {
    await database.open();
  } catch (cause) {
    throw openFailure(location, cause);
  }
  return database;
}
