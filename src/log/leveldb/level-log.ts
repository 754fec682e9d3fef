import { sha256 } from '#sha256';
import { equalBytes } from '../../model/bytes.js';
import type { Digest } from '../../model/digest.js';
import { formatEventRows, parseEventRow, rowEnds } from '../event-rows.js';
import {
  contentKey,
  eventKey,
  formatPosition,
  nameOfPositionKey,
  parsePosition,
  POSITION_PREFIX,
  positionKey,
} from '../rows.js';
import {
  type AppendBatch,
  type Batch,
  type ConsumerPosition,
  type ContentReader,
  type Database,
  type Head,
  headAt,
  type Log,
  type LogEntry,
  type LogPoint,
  type LogSource,
  type PageOptions,
  type PageRange,
  type ReferenceSearch,
  type RenewOptions,
} from '../log.js';
import { Frontier, hashesOnLevel, leafHash, type Tile, TILE_WIDTH } from '../merkle.js';
import { purgeRemoved, purgeRoom, removalMarks, removeContent } from '../removed-content.js';
import {
  hasSubjectIndex,
  indexSubjects,
  prefixPages,
  readEvents,
  scannedPages,
  scannedPrefixPages,
  subjectPages,
  subjectRows,
} from '../subject-index.js';
import { referenceSeqs, scannedReferenceSeqs } from '../reference-rows.js';
import { type ComputedHashes, openTree, putTreeRows, readTileRows, renewRows } from '../tree-rows.js';
import { isStoreError, StoreError, throwIfAborted, thrownText } from '../../errors.js';
import type { StoredEvent } from '../../model/events.js';
import type { Subject } from '../../model/subjects.js';
import { openContentRows, rowsOfKind, StoredRows } from '../stored-rows.js';
import {
  entryPages,
  eventPages,
  missingEvent,
  OpenReads,
  type ResumableLog,
  resumedPages,
  readEnd,
} from '../event-pages.js';
import { openFailure, openLevel, readFailure } from './open-level.js';

/**
 * Options of a read of content. Its keys are hashes, so that the rows beside it in a block are not
 * read next: keeping the block would take a third more time, and room from blocks of events.
 */
const CONTENT_READ = { fillCache: false, keyEncoding: 'view', valueEncoding: 'view' } as const;

interface Target {
  /** Tree of the earlier events; the group's leaves are appended to it. */
  readonly tree: Frontier;
  /**
   * Whether the subject index covers the earlier events. If not, the group must not be indexed: its
   * last row would mark the index as complete.
   */
  readonly isIndexed: boolean;
}

function putGroup(
  batch: Batch,
  { expectedHead, entries, content, positions = new Map() }: AppendBatch,
  { tree, isIndexed }: Target,
): void {
  const rows = formatEventRows(
    expectedHead + 1,
    entries.map(({ record }) => record),
  );
  for (const { key, value, leaves } of rows) {
    batch.put(key, value);
    for (const leaf of leaves) putTreeRows(batch, tree.append(leaf));
  }
  const events = isIndexed ? entries.map(({ event }) => event) : [];
  for (const [key, value] of subjectRows(events)) batch.put(key, value);
  for (const [digest, bytes] of content) {
    if (bytes === undefined) removeContent(batch, digest, expectedHead + 1);
    else batch.put(contentKey(digest), bytes);
  }
  for (const [name, position] of positions) {
    if (position === undefined) batch.del(positionKey(name));
    else batch.put(positionKey(name), formatPosition(position));
  }
}

/** What a log knows besides its database. */
export interface LevelLogOptions {
  /** Create the database: only for a store that does not exist yet (LEVELDB: CURRENT missing). */
  readonly createIfMissing: boolean;
  /** Write nothing: reads do without a missing index or tree. */
  readonly readOnly?: boolean | undefined;
  /** Free disk space in bytes; unlimited by default. */
  readonly freeBytes?: (() => number) | undefined;
  /** Gets harmless failures. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /** Opens the database; tests inject failures. */
  readonly openDatabase?: (location: string, createIfMissing: boolean) => Promise<Database>;
  /** Opens it for reads while it is opened again for writing, or cannot be; without it they fail then. */
  readonly openForReading?: (location: string) => Promise<Database>;
}

/**
 * The log over LevelDB. Every write is one atomic batch with `sync: true`. A failed write ends the
 * database handle: after one, LevelDB 1.20 loses events that it acknowledges later.
 */
export class LevelLog implements Log {
  readonly #location: string;
  readonly #options: LevelLogOptions;
  readonly #openDatabase: (location: string, createIfMissing: boolean) => Promise<Database>;
  #database: Database;
  /**
   * Merkle frontier at the head, or the error that explains its absence (read-only). Immutable:
   * append swaps in a new one once its rows are durable.
   */
  #tree: Frontier | StoreError;
  #head: Head;
  /** Used in place of missing tree rows (read-only). */
  #computedHashes: ComputedHashes | undefined;
  #failure: unknown;
  #recovery: Promise<unknown> | undefined;
  #hasSubjectIndex = true;
  #isClosed = false;
  readonly #reads = new OpenReads();
  readonly #resumable: ResumableLog = {
    reads: this.#reads,
    headSeq: () => this.#head.seq,
    source: () => this.#source(),
    isClosed: () => this.#isClosed,
    wasReplaced: (source) => this.#wasReplaced(source),
  };
  #purging: Promise<unknown> = Promise.resolve();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(location: string, database: Database, options: LevelLogOptions) {
    this.#location = location;
    this.#database = database;
    this.#options = options;
    const tree = new Frontier();
    this.#tree = tree;
    this.#head = headAt({ seq: 0, time: 0 }, tree);
    this.#openDatabase = options.openDatabase ?? openLevel;
  }

  /**
   * Opens the log at `location`; unless read-only, rebuilds an incomplete index or tree.
   * @throws {StoreError} STORE_LOCKED when another handle has it; LOG_CORRUPT for damage found by
   *   LevelDB, in the last event or a writable log's tree; STORE_NOT_WRITABLE; DISK_FULL;
   *   LOG_FAILED for the rest
   */
  static async open(location: string, options: LevelLogOptions): Promise<LevelLog> {
    const database = await (options.openDatabase ?? openLevel)(location, options.createIfMissing);
    const log = new LevelLog(location, database, options);
    try {
      await log.#begin(options.readOnly ?? false);
      if (options.readOnly !== true) await log.#finishPurge();
    } catch (cause) {
      await database.close();
      // Failed reads are StoreErrors already; the rest are failed writes of index and tree.
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
    const tree = this.#copyOfTree();
    try {
      // A chained batch goes straight into LevelDB's, at half the cost of an array of operations.
      const batch = this.#database.batch();
      putGroup(batch, group, { tree, isIndexed: this.#hasSubjectIndex });
      await this.#write(this.#database, batch);
    } catch (cause) {
      // The rows may or may not be in the write-ahead log: only reopening can tell.
      this.#failure = cause;
      throw new StoreError(
        'OUTCOME_UNKNOWN',
        `the append of ${entries.length} events after seq ${expectedHead} failed`,
        { cause, data: { expectedHead, count: entries.length } },
      );
    }
    if (last !== undefined) this.#standAt(last, tree);
  }

  recover(): Promise<readonly StoredEvent[]> {
    const recovery = this.#recover();
    this.#recovery = recovery.catch(() => undefined);
    return recovery;
  }

  async #recover(): Promise<readonly StoredEvent[]> {
    await this.#openAgain();
    const from = this.#head.seq + 1;
    const source = this.#source();
    const end = await readEnd(source);
    if (end.seq < this.#head.seq) {
      throw new StoreError('LOG_CORRUPT', `the log ends at seq ${end.seq}, ${this.#head.seq} was acknowledged`);
    }
    const found: StoredEvent[] = [];
    const tree = this.#copyOfTree();
    for await (const page of entryPages(source, { first: from, last: end.seq })) {
      for (const { event, record } of page) {
        found.push(event);
        tree.append(leafHash(record));
      }
    }
    this.#standAt(end, tree);
    this.#failure = undefined;
    return found;
  }

  /** Reads continue meanwhile, and where it fails; events after the head are not read. */
  async #openAgain(): Promise<void> {
    const failed = this.#database;
    const reading = await this.#options.openForReading?.(this.#location).catch(() => undefined);
    this.#database = reading ?? failed;
    await failed.close();
    // Opening moves the write-ahead log into a synced table: what is found now is durable.
    this.#database = await this.#openDatabase(this.#location, false);
    await reading?.close();
  }

  pages(options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    return resumedPages(this.#resumable, options, { read: eventPages, seqOf: ({ seq }) => seq });
  }

  entryPages(options: PageOptions = {}): AsyncGenerator<readonly LogEntry[]> {
    return resumedPages(this.#resumable, options, { read: entryPages, seqOf: ({ event }) => event.seq });
  }

  openContent(): ContentReader {
    return this.#reads.content(openContentRows(this.#source()));
  }

  subjectPages(subjects: readonly Subject[], options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    const read = (source: LogSource, range: PageRange): AsyncGenerator<readonly StoredEvent[]> =>
      (this.#hasSubjectIndex ? subjectPages : scannedPages)(source, subjects, range);
    return resumedPages(this.#resumable, options, { read, seqOf: ({ seq }) => seq });
  }

  prefixPages(hex: string, options: PageOptions = {}): AsyncGenerator<readonly StoredEvent[]> {
    const read = (source: LogSource, range: PageRange): AsyncGenerator<readonly StoredEvent[]> =>
      (this.#hasSubjectIndex ? prefixPages : scannedPrefixPages)(source, hex, range);
    return resumedPages(this.#resumable, options, { read, seqOf: ({ seq }) => seq });
  }

  async referenceSeqs(
    wanted: ReferenceSearch,
    options: Pick<PageOptions, 'from' | 'to' | 'signal'> = {},
  ): Promise<readonly number[]> {
    const find = (source: LogSource, range: PageRange): Promise<number[]> =>
      (this.#hasSubjectIndex ? referenceSeqs : scannedReferenceSeqs)(source, wanted, range);
    return this.#readOnce(options, find);
  }

  async eventsOf(
    seqs: readonly number[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly StoredEvent[]> {
    return this.#readOnce({ signal }, (source) => readEvents(source, seqs));
  }

  /** Reads one page, again if the database was replaced or the read interrupted meanwhile. */
  async #readOnce<Item>(
    options: PageOptions,
    find: (source: LogSource, range: PageRange) => Promise<readonly Item[]>,
  ): Promise<readonly Item[]> {
    const read = async function* (source: LogSource, range: PageRange): AsyncGenerator<readonly Item[]> {
      throwIfAborted(range.signal);
      yield await find(source, range);
    };
    for await (const page of resumedPages(this.#resumable, options, { read, seqOf: () => 0 })) return page;
    return [];
  }

  // Recovery closes the database during reads; they resume in the new one.
  async #wasReplaced({ database }: LogSource): Promise<boolean> {
    await this.#recovery;
    return this.#database !== database && !this.#isClosed;
  }

  event(seq: number): StoredEvent | undefined {
    if (seq < 1 || seq > this.#head.seq) return undefined;
    const row = this.#eventRow(seq);
    if (row === undefined) throw missingEvent(seq);
    return parseEventRow(row, seq);
  }

  content(digest: Digest): Uint8Array | undefined {
    const key = contentKey(digest);
    const value = this.#row(key, CONTENT_READ);
    if (value === undefined) return undefined;
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (equalBytes(sha256(bytes), key.subarray(1))) return bytes;
    throw new StoreError('CONTENT_CORRUPT', `the content ${digest} is damaged: its bytes have another digest`, {
      data: { digest },
    });
  }

  contentSize(digest: Digest): number | undefined {
    return this.#row(contentKey(digest))?.length;
  }

  purge(): Promise<void> {
    const purged = this.#purging.then(() => this.#purge());
    this.#purging = purged.catch(() => undefined);
    return purged;
  }

  // Completes a purge that a crash or a full disk interrupted, before any read.
  async #finishPurge(): Promise<void> {
    const marks = await removalMarks(this.#database);
    if (marks.length === 0) return;
    try {
      const missing = await this.#missingRoom();
      if (missing > 0) throw noRoom(missing);
      await purgeRemoved(this.#database, marks, {
        letGo: async () => true,
        write: (batch) => batch.write({ sync: true }),
      });
    } catch (cause) {
      // The marks stay. LevelDB refuses writes after a failed compaction.
      const why = thrownText(cause);
      this.#options.onNotice?.(`removed content may be on the disk until the log is opened again: ${why}`);
      if (isStoreError(cause, 'DISK_FULL')) return;
      await this.#database.close();
      this.#database = await this.#openDatabase(this.#location, false);
    }
  }

  async #purge(): Promise<void> {
    for (;;) {
      const database = this.#database;
      try {
        const letGo = (): Promise<boolean> => this.#reads.letGo();
        const write = (batch: Batch): Promise<void> => this.#write(database, batch);
        const missing = await this.#missingRoom();
        if (missing > 0) throw noRoom(missing);
        if (await purgeRemoved(database, await removalMarks(database), { letGo, write })) return;
        throw new Error('the log is being closed');
      } catch (cause) {
        await this.#recovery;
        if (this.#isClosed) throw readFailure(cause, true);
        if (isStoreError(cause, 'DISK_FULL')) throw cause;
        if (this.#database !== database) continue;
        // LevelDB's state is unknown: refuse appends until `recover`.
        this.#failure ??= cause;
        throw new StoreError('LOG_FAILED', 'removed content may be on the disk until the log is opened again', {
          cause,
        });
      }
    }
  }

  /** Disk space missing for a compaction, in bytes. */
  async #missingRoom(): Promise<number> {
    const { freeBytes } = this.#options;
    return freeBytes === undefined ? 0 : Math.max(0, (await purgeRoom(this.#database)) - freeBytes());
  }

  /** Serializes writes: LevelDB would start the next before a failure is known here. */
  #write(database: Database, batch: Batch): Promise<void> {
    const written = this.#writing.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await batch.write({ sync: true });
      } catch (cause) {
        if (this.#database === database) this.#failure = cause;
        throw cause;
      }
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async flush(): Promise<void> {
    if (this.#failure !== undefined) return;
    // Compacting an empty range first flushes the write-ahead log into a table.
    const nothing = Uint8Array.of(0xff);
    await this.#database.compactRange?.(nothing, nothing).catch(() => undefined);
  }

  position(name: string): ConsumerPosition | undefined {
    const row = this.#row(positionKey(name));
    return row === undefined ? undefined : parsePosition(row);
  }

  async positions(): Promise<ReadonlyMap<string, ConsumerPosition>> {
    const { database, failure } = this.#source();
    try {
      const rows = await this.#reads.short(() => database.iterator(rowsOfKind(POSITION_PREFIX)).all());
      return new Map(rows.map(([key, row]) => [nameOfPositionKey(key), parsePosition(row)]));
    } catch (cause) {
      throw failure(cause);
    }
  }

  async readTile(tile: Tile): Promise<Uint8Array> {
    const { level, index, width } = tile;
    if (width < 1 || width > TILE_WIDTH || index * TILE_WIDTH + width > hashesOnLevel(level, this.#head.seq)) {
      throw new RangeError(`the tree of ${this.#head.seq} leaves has no tile ${level}/${index} of ${width} hashes`);
    }
    for (;;) {
      const source = this.#source();
      try {
        return await this.#reads.short(() => readTileRows(source, tile, this.#computedHashes));
      } catch (error) {
        if (!(await this.#wasReplaced(source))) throw error;
      }
    }
  }

  storedRows(): StoredRows {
    const held = this.#reads.content({ close: async () => undefined });
    return new StoredRows(this.#source(), () => held.close());
  }

  async renewRows(options: RenewOptions = {}): Promise<void> {
    const source = this.#source();
    // A purge must wait: these reads hold the bytes it removes.
    const held = this.#reads.content({ close: async () => undefined });
    const write = (batch: Batch): Promise<void> => this.#write(source.database, batch);
    const withoutIndex = (): Promise<void> => {
      this.#hasSubjectIndex = false;
      return this.#reads.interruptEvents();
    };
    try {
      await renewRows({ source, head: this.#head, write, withoutIndex }, options);
      this.#hasSubjectIndex = true;
    } catch (cause) {
      if (this.#failure === undefined) throw readFailure(cause, this.#isClosed);
      throw new StoreError('LOG_FAILED', 'the rows of the log were not rebuilt: a write failed', { cause });
    } finally {
      await held.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Let a purge finish; what content readers still hold is purged at the next open.
    this.#reads.end();
    await this.#purging;
    await this.#database.close();
  }

  /** The row that has event `seq`. */
  #eventRow(seq: number): Uint8Array | undefined {
    for (const end of rowEnds(seq)) {
      const row = this.#row(eventKey(end));
      if (row !== undefined) return row;
    }
    return undefined;
  }

  #row(key: Uint8Array, options?: typeof CONTENT_READ): Uint8Array | undefined {
    try {
      return options === undefined ? this.#database.getSync(key) : this.#database.getSync(key, options);
    } catch (cause) {
      throw readFailure(cause, this.#isClosed);
    }
  }

  #source(): LogSource {
    const failure = (cause: unknown): StoreError => readFailure(cause, this.#isClosed);
    return { database: this.#database, failure, opened: (rows) => rows };
  }

  // Rebuilds rows that are missing or incomplete before the first append.
  async #begin(readOnly: boolean): Promise<void> {
    const source = this.#source();
    const end = await readEnd(source);
    this.#hasSubjectIndex = await hasSubjectIndex(source, end);
    if (!this.#hasSubjectIndex && !readOnly) {
      await indexSubjects(source, end, { write: (batch) => batch.write({ sync: true }) });
      this.#hasSubjectIndex = true;
    }
    const { tree, computedHashes } = await openTree(source, end.seq, readOnly);
    this.#computedHashes = computedHashes;
    this.#standAt(end, tree);
  }

  #copyOfTree(): Frontier {
    if (this.#tree instanceof StoreError) throw this.#tree;
    return this.#tree.copy();
  }

  #standAt(point: LogPoint, tree: Frontier | StoreError): void {
    this.#tree = tree;
    this.#head = headAt(point, tree);
  }
}

function noRoom(missingBytes: number): StoreError {
  const text = `removed content leaves the disk when ${missingBytes} bytes more are free: the next open for writing tries again`;
  return new StoreError('DISK_FULL', text, { data: { missingBytes, remedy: 'room' } });
}
