import { Level } from 'level';
import { StoreError } from '../errors.js';
import { type Digest, digestOf, HASH_BYTES, type Sha256 } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import type { Subject } from '../model/subjects.js';
import { formatPosition, parsePosition } from './consumer-position.js';
import { openContentRows } from './content-reader.js';
import { entryPages, eventPages, missingEvent } from './event-pages.js';
import { formatEventRow, parseEventRow } from './event-row.js';
import { hasSubjectIndex, indexSubjects } from './index-subjects.js';
import { contentKey, eventKey, nameOfPositionKey, POSITION_PREFIX, positionKey, seqOfKey } from './keys.js';
import type { AppendBatch, ConsumerPosition, ContentReader, Head, Log, LogEntry, PageOptions } from './log.js';
import type { Database, LogSource, PageRange } from './log-source.js';
import { openFailure } from './open-failure.js';
import { readFailure } from './read-failure.js';
import { subjectRows } from './subject-index.js';
import { scannedPages, subjectPages } from './subject-pages.js';

const EMPTY_HEAD: Head = { seq: 0, time: 0 };

export interface LevelLogOptions {
  /** Make the database when there is none. Only ever true for a store that does not exist yet (LEVELDB: CURRENT missing). */
  readonly createIfMissing: boolean;
  readonly hash: Sha256;
  /** Write nothing: an index that is missing is left so, and reads do without. */
  readonly readOnly?: boolean | undefined;
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
  #hasSubjectIndex = true;
  #isClosed = false;

  private constructor(location: string, database: Database, options: LevelLogOptions) {
    this.#location = location;
    this.#database = database;
    this.#hash = options.hash;
    this.#openDatabase = options.openDatabase ?? openLevel;
  }

  /**
   * Opens the log at `location`, reads its head, and writes its subject index when that is not whole.
   * @throws {StoreError} STORE_LOCKED when another handle has it, LOG_CORRUPT when LevelDB finds damage or the
   *   last event is damaged, STORE_NOT_WRITABLE, DISK_FULL, LOG_FAILED
   */
  static async open(location: string, options: LevelLogOptions): Promise<LevelLog> {
    const database = await (options.openDatabase ?? openLevel)(location, options.createIfMissing);
    const log = new LevelLog(location, database, options);
    try {
      log.#head = await log.#readHead();
      await log.#completeIndex(options.readOnly ?? false);
    } catch (cause) {
      await database.close();
      // What the reading of rows meets is told already; the rest comes from the writing of the index.
      throw cause instanceof StoreError ? cause : openFailure(location, cause);
    }
    return log;
  }

  get head(): Head {
    return this.#head;
  }

  get hasSubjectIndex(): boolean {
    return this.#hasSubjectIndex;
  }

  async append(group: AppendBatch): Promise<void> {
    const { expectedHead, entries, positions } = group;
    if (this.#failure !== undefined) {
      throw new StoreError('LOG_FAILED', 'cannot append: an earlier write failed and is not settled', {
        cause: this.#failure,
      });
    }
    const last = entries.at(-1)?.event;
    if (last === undefined && (positions === undefined || positions.size === 0)) return;
    const first = entries[0]?.event.seq ?? expectedHead + 1;
    if (expectedHead !== this.#head.seq || first !== expectedHead + 1) {
      throw new StoreError('INTERNAL', `cannot append after seq ${expectedHead}: the head is ${this.#head.seq}`);
    }
    try {
      await this.#write(group);
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
    if (last !== undefined) this.#head = { seq: last.seq, time: last.time };
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
    for await (const page of eventPages(this.#source(), { first: from, last: head.seq })) found.push(...page);
    this.#head = head;
    this.#failure = undefined;
    return found;
  }

  pages(options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    return this.#resumed(options, eventPages, ({ seq }) => seq);
  }

  entryPages(options: PageOptions = {}): AsyncGenerator<readonly LogEntry[]> {
    return this.#resumed(options, entryPages, ({ event }) => event.seq);
  }

  openContent(): ContentReader {
    return openContentRows(this.#source());
  }

  subjectPages(subjects: readonly Subject[], options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    const pages = this.#hasSubjectIndex ? subjectPages : scannedPages;
    return this.#resumed(
      options,
      (source, range) => pages(source, subjects, range),
      ({ seq }) => seq,
    );
  }

  /** Gives the pages that `read` gives of the range, and goes on when a recovery takes the database away under it. */
  async *#resumed<Item>(
    options: PageOptions,
    read: (source: LogSource, range: PageRange) => AsyncIterable<readonly Item[]>,
    seqOf: (item: Item) => number,
  ): AsyncGenerator<readonly Item[]> {
    const { from = 1, to = this.#head.seq, ...rest } = options;
    let first = Math.max(1, from);
    let last = Math.max(0, to);
    while (first <= last) {
      const source = this.#source();
      try {
        for await (const page of read(source, { ...rest, first, last })) {
          const lastItem = page.at(-1);
          const end = lastItem === undefined ? undefined : seqOf(lastItem);
          if (end !== undefined && options.reverse === true) last = end - 1;
          else if (end !== undefined) first = end + 1;
          yield page;
        }
        return;
      } catch (error) {
        // A recovery closes the database under its readers: they go on in the one that it opened.
        await this.#recovery;
        if (this.#database === source.database || this.#isClosed) throw error;
      }
    }
  }

  event(seq: number): StoredEvent | undefined {
    if (seq < 1 || seq > this.#head.seq) return undefined;
    const row = this.#row(eventKey(seq));
    if (row === undefined) throw missingEvent(seq);
    return parseEventRow(row, seq, this.#hash);
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

  position(name: string): ConsumerPosition | undefined {
    const row = this.#row(positionKey(name));
    return row === undefined ? undefined : parsePosition(row);
  }

  async positions(): Promise<ReadonlyMap<string, ConsumerPosition>> {
    const { database, failure } = this.#source();
    const range = { gte: Uint8Array.of(POSITION_PREFIX), lt: Uint8Array.of(POSITION_PREFIX + 1) };
    try {
      const rows = await database.iterator(range).all();
      return new Map(rows.map(([key, row]) => [nameOfPositionKey(key), parsePosition(row)]));
    } catch (cause) {
      throw failure(cause);
    }
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

  #source(): LogSource {
    const failure = (cause: unknown): StoreError => readFailure(cause, this.#isClosed);
    return { database: this.#database, hash: this.#hash, failure };
  }

  // A log that was written without its index, or whose indexing was cut short, gets it before anything is appended.
  async #completeIndex(readOnly: boolean): Promise<void> {
    const source = this.#source();
    this.#hasSubjectIndex = await hasSubjectIndex(source, this.#head);
    if (this.#hasSubjectIndex || readOnly) return;
    await indexSubjects(source, this.#head);
    this.#hasSubjectIndex = true;
  }

  // A chained batch goes straight into LevelDB's own, at half the cost of an array of operations.
  async #write({ entries, content, positions = new Map() }: AppendBatch): Promise<void> {
    const batch = this.#database.batch();
    for (const { event, record } of entries) batch.put(eventKey(event.seq), formatEventRow(record, this.#hash));
    const events = entries.map(({ event }) => event);
    for (const [key, value] of subjectRows(events, this.#hash)) batch.put(key, value);
    for (const [digest, value] of content) batch.put(contentKey(digest), value);
    for (const [name, position] of positions) {
      if (position === undefined) batch.del(positionKey(name));
      else batch.put(positionKey(name), formatPosition(position));
    }
    await batch.write({ sync: true });
  }

  async #readHead(): Promise<Head> {
    const lastKey = eventKey(Number.MAX_SAFE_INTEGER);
    const last = this.#database.iterator({ gte: eventKey(1), lte: lastKey, reverse: true, limit: 1 }).all();
    const [row] = await last.catch((cause: unknown) => {
      throw readFailure(cause, this.#isClosed);
    });
    if (row === undefined) return EMPTY_HEAD;
    const { seq, time, transaction } = parseEventRow(row[1], seqOfKey(row[0]), this.#hash);
    const end = transaction.first + transaction.count - 1;
    if (seq === end) return { seq, time };
    throw new StoreError('LOG_CORRUPT', `the log ends at seq ${seq}, inside a transaction that ends at ${end}`, {
      data: { seq, transaction },
    });
  }
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
