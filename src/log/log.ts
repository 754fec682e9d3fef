import type { Level } from 'level';
import type { Digest } from '../model/digest.js';
import type { StoredEvent, Subject } from '../model/events.js';
import type { StoredRows } from './stored-rows.js';
import type { Frontier, Tile, TileReader } from './merkle.js';
import { StoreError } from '../errors.js';
import { eventKey, parseEventRow, seqOfKey } from './rows.js';

/** An event of the log by its place: seq 0 and time 0 before the first. */
export interface LogPoint {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The last durable event, and the tree of all up to it. */
export interface Head extends LogPoint {
  /**
   * Root of the RFC 6962 tree over the records of events 1 to `seq`, 32 bytes, the caller's own. It is computed when it is
   * first asked for, from at most 53 hashes in memory.
   * @throws {StoreError} LOG_CORRUPT in a log that was opened for reading only, and is too damaged to tell
   */
  readonly root: Uint8Array;
}

/** One event on its way into the log, with its record. */
export interface LogEntry {
  readonly event: StoredEvent;
  readonly record: Uint8Array;
}

/** How far a consumer is done with the log. */
export interface ConsumerPosition {
  /** The last event that it is done with; 0 before the first. */
  readonly seq: number;
  /** When that was written, milliseconds since the epoch. */
  readonly time: number;
}

/** What becomes durable together or not at all. */
export interface AppendBatch {
  /** Seq of the head that the entries continue. */
  readonly expectedHead: number;
  readonly entries: readonly LogEntry[];
  /**
   * Bytes to keep by their digest; undefined removes them, and `purge` takes them off the disk after that. Content that is
   * there already is written again, the same.
   */
  readonly content: ReadonlyMap<Digest, Uint8Array | undefined>;
  /** Positions of consumers by name; undefined forgets one. They may be all there is. */
  readonly positions?: ReadonlyMap<string, ConsumerPosition | undefined> | undefined;
}

/** Bytes that the log keeps by their digest. */
export interface StoredContent {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** All content of one moment; the log keeps it for this reader until it is closed. */
export interface ContentReader {
  /**
   * Gives the content in pages, in the order of digests. Not checked against its digest.
   * @throws {StoreError} STORE_CLOSED, LOG_FAILED, LOG_CORRUPT
   */
  pages(): AsyncIterable<readonly StoredContent[]>;
  /** Lets go of it. Calling it again does nothing. */
  close(): Promise<void>;
}

/** Which events to read. */
export interface PageOptions {
  /** First and last seq, inclusive, whatever the direction; default 1 and the head. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  /** Events of one page at the most. */
  readonly pageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How rows are made anew. */
export interface RenewOptions {
  /** Called with how many of the events of the log are indexed. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Events in order and the content they name. A replicated log can take the place of the
 * local one behind this interface.
 *
 * Implementers: `append` resolves only when the batch is durable, and rejects with
 * OUTCOME_UNKNOWN when that cannot be known; after that every append is refused until
 * `recover` has looked. `pages` never gives an event that failed a check, nor one after a gap.
 */
export interface Log extends TileReader {
  readonly head: Head;

  /**
   * Appends the batch after `expectedHead`.
   * @throws {StoreError} OUTCOME_UNKNOWN when the write failed, LOG_FAILED while an earlier failure is unsettled
   */
  append(batch: AppendBatch): Promise<void>;

  /**
   * Settles a failed append: reopens the log and returns the events it holds after the head that was known,
   * which is then moved to the last of them.
   * @throws {StoreError} LOG_FAILED, LOG_CORRUPT when it cannot be opened or what it holds is damaged
   */
  recover(): Promise<readonly StoredEvent[]>;

  /** Events in pages, each checked against its hash and for gaps. */
  pages(options?: PageOptions): AsyncIterable<readonly StoredEvent[]>;

  /** As `pages`, each event with its record. */
  entryPages(options?: PageOptions): AsyncIterable<readonly LogEntry[]>;

  /**
   * Whether every event is in the subject index; false while it is made anew, after that failed, and for a log that was opened for
   * reading only and has no whole one.
   */
  readonly hasSubjectIndex: boolean;

  /**
   * The events that are about any of the subjects, in pages, each checked against its hash and given once. Costs what it
   * gives; the whole range where there is no whole index.
   * @throws {StoreError} LOG_CORRUPT when an event or a row of the index is damaged
   */
  subjectPages(subjects: readonly Subject[], options?: PageOptions): AsyncIterable<readonly StoredEvent[]>;

  /**
   * Event `seq`, checked; undefined when the log has none there.
   * @throws {StoreError} LOG_CORRUPT when it is damaged or missing
   */
  event(seq: number): StoredEvent | undefined;

  /** How far the consumer `name` is; undefined for one that was never heard of. */
  position(name: string): ConsumerPosition | undefined;

  /** How far each consumer is, by name. */
  positions(): Promise<ReadonlyMap<string, ConsumerPosition>>;

  /**
   * The bytes that `digest` names, or undefined. Checked; the caller owns them.
   * @throws {StoreError} CONTENT_CORRUPT when they are not what was written
   */
  content(digest: Digest): Uint8Array | undefined;

  /** How many bytes are kept for `digest`, whether they are what they must be or not; undefined when there are none. */
  contentSize(digest: Digest): number | undefined;

  /**
   * Takes the bytes of removed content off the disk: resolves when no file of the log has them. Waits for readers of content that
   * are open; reads of events go on. What it cannot do is done when the log is opened the next time.
   * @throws {StoreError} LOG_FAILED when it could not; STORE_CLOSED when the log was closed before
   */
  purge(): Promise<void>;

  /**
   * Has the next open find all rows in tables: it then needs little room, and less time. They are durable anyway, so a failure
   * changes nothing.
   */
  flush(): Promise<void>;

  /** Returns a reader of all content that is there at this call. Whatever is erased later stays on the disk until it is closed. */
  openContent(): ContentReader;

  /**
   * Resolves with the hashes of a tile of the tree up to the head. Leaf hashes are checked against their records; what is
   * made of those above is for the reader to check.
   * @throws {StoreError} LOG_CORRUPT when one is missing, or an event is damaged; {RangeError} when the tree has no such tile
   */
  readTile(tile: Tile): Promise<Uint8Array>;

  /** The leaf hash that stands with event `seq`, 32 bytes, unchecked; undefined when there is no such event. */
  leafHash(seq: number): Uint8Array | undefined;

  /**
   * Returns all that is kept as it is at this call, events up to the head or beyond, unchecked. The caller closes it.
   * @throws {StoreError} STORE_CLOSED, LOG_FAILED
   */
  storedRows(): StoredRows;

  /**
   * Makes all rows anew that follow from the events, durable on return. Nothing may be appended meanwhile; reads go on, and cost their
   * whole range where they were of the subject index. When this fails, reads do without it, and the next call or opening makes it.
   * @throws {StoreError} LOG_CORRUPT when an event is damaged or missing: nothing was changed; ABORTED; LOG_FAILED when a write failed, after
   *   which `recover` has to look
   */
  renewRows(options?: RenewOptions): Promise<void>;

  /** Ends all reads and writes. */
  close(): Promise<void>;
}

/** The database of a log. */
export type Database = Level<Uint8Array, Uint8Array> & {
  /** Rewrites the rows from `start` to `end` without those that were removed; only LevelDB on a disk has it. */
  compactRange?(start: Uint8Array, end: Uint8Array): Promise<void>;
  /** Returns about how many bytes of tables the rows from `start` to `end` have. */
  approximateSize?(start: Uint8Array, end: Uint8Array): Promise<number>;
};

/** Rows on their way into the database: those of one batch are there together or not at all. */
export type Batch = ReturnType<Database['batch']>;

/** Writes a batch, durable on return. */
export type WriteBatch = (batch: Batch) => Promise<void>;

/** An iterator: until it is closed, LevelDB keeps all that was there when it was made. */
export interface OpenRows {
  close(): Promise<void>;
}

/** What the reading of a log's rows needs. */
export interface LogSource {
  readonly database: Database;
  /** Returns what the database threw as the error that a caller can act on. */
  readonly failure: (cause: unknown) => StoreError;
  /** Called with each iterator that may stay open for long, and gives it back. It may be closed under its reader. */
  readonly opened: <Rows extends OpenRows>(rows: Rows) => Rows;
}

/** A range of seqs, both ends inclusive, and how it is read. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
  readonly reverse?: boolean | undefined;
  /** Events of one page at the most. */
  readonly pageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Returns the head at a point of the log, where `tree` is its tree, which must not grow from then on, or why there is none. */
export function headAt({ seq, time }: LogPoint, tree: Frontier | StoreError): Head {
  let root: Uint8Array | undefined;
  return {
    seq,
    time,
    get root() {
      if (tree instanceof StoreError) throw tree;
      // Most heads are only asked for their seq: a root is some hashes more.
      root ??= tree.root();
      return new Uint8Array(root);
    },
  };
}

/**
 * Resolves with the last event of a log that was just opened.
 * @throws {StoreError} LOG_CORRUPT when it is damaged, or not the last one of its transaction
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
