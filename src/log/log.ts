import type { Level } from 'level';
import type { Digest } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import type { Subject } from '../model/subjects.js';
import { type Frontier, type Tile, type TileReader, type TreeHead, treeRoot } from './merkle.js';
import { StoreError } from '../errors.js';
import { equalBytes } from '../model/bytes.js';

/** Position in the log: seq 0 and time 0 before the first event. */
export interface LogPoint {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The last durable event, and the root of the tree up to it. */
export interface Head extends LogPoint {
  /**
   * RFC 6962 root over the records of events 1 to `seq`: 32 bytes, owned by the caller. Computed on
   * first access from at most 53 hashes in memory.
   * @throws {StoreError} LOG_CORRUPT in a read-only log too damaged to compute it
   */
  readonly root: Uint8Array;
}

/** An event and its encoded record. */
export interface LogEntry {
  readonly event: StoredEvent;
  readonly record: Uint8Array;
}

/** How far a consumer has acknowledged the log. */
export interface ConsumerPosition {
  /** Last acknowledged event; 0 before the first. */
  readonly seq: number;
  /** When the position was written, milliseconds since the epoch. */
  readonly time: number;
  /** JSON of the filter it has, if any; only read to count the events that it waits for. */
  readonly filter?: string | undefined;
}

/** One atomic append. */
export interface AppendBatch {
  /** Head seq that the entries follow. */
  readonly expectedHead: number;
  readonly entries: readonly LogEntry[];
  /**
   * Bytes to store, by digest; undefined removes them (`purge` then takes them off the disk).
   * Content that exists already is rewritten unchanged.
   */
  readonly content: ReadonlyMap<Digest, Uint8Array | undefined>;
  /** Consumer positions by name; undefined deletes one. A batch may hold only positions. */
  readonly positions?: ReadonlyMap<string, ConsumerPosition | undefined> | undefined;
}

/** Content bytes and their digest. */
export interface StoredContent {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** Snapshot of all content, held until `close`. */
export interface ContentReader {
  /**
   * Pages of content in digest order, not checked against the digests.
   * @throws {StoreError} STORE_CLOSED, LOG_FAILED, LOG_CORRUPT
   */
  pages(): AsyncIterable<readonly StoredContent[]>;
  /** Releases the snapshot; idempotent. */
  close(): Promise<void>;
}

/** Selects the events to read. */
export interface PageOptions {
  /** First and last seq, inclusive in either direction; default 1 and the head. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  /** Maximum events per page. */
  readonly pageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** References whose events are searched for. */
export interface ReferenceSearch {
  /** Whether a canonical reference is wanted. */
  readonly matches: (reference: string) => boolean;
  /** Canonical references that the caller knows, which saves reading an event for each. */
  readonly known: Iterable<string>;
}

/** Options of a rebuild of derived rows. */
export interface RenewOptions {
  /** Called with the number of events indexed so far. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** All rows of a log's database as of one moment, unchecked. They stay on disk until `close`. */
export interface RowReads {
  /** Yields the rows of a range in key order. Skips what LevelDB finds corrupt, and then calls `onDamage`. */
  read(
    range: { readonly gte: Uint8Array; readonly lt: Uint8Array },
    onDamage: (why: string) => void,
  ): AsyncGenerator<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Like `read`, in pages. */
  pages(
    range: { readonly gte: Uint8Array; readonly lt: Uint8Array },
    onDamage: (why: string) => void,
  ): AsyncGenerator<readonly (readonly [key: Uint8Array, value: Uint8Array])[]>;
  /** Resolves with the seq of the last event, 0 when there is none. */
  lastSeq(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Ordered events and the content they name. A replicated log can implement this interface.
 *
 * Implementers: `append` resolves only once the batch is durable, and rejects with OUTCOME_UNKNOWN
 * when that cannot be known; every later append is then refused until `recover`. `pages` never
 * yields an event that failed a check, nor one after a gap.
 */
export interface Log extends TileReader {
  readonly head: Head;

  /**
   * Appends the batch after `expectedHead`.
   * @throws {StoreError} OUTCOME_UNKNOWN when the write failed, LOG_FAILED until `recover`
   */
  append(batch: AppendBatch): Promise<void>;

  /**
   * Settles a failed append: reopens the log, moves the head to the last durable event, and returns
   * the events after the old head.
   * @throws {StoreError} LOG_FAILED, LOG_CORRUPT when the log cannot be opened or is corrupt
   */
  recover(): Promise<readonly StoredEvent[]>;

  /** Pages of events, each checked against the checksum of its row and for gaps. */
  pages(options?: PageOptions): AsyncIterable<readonly StoredEvent[]>;

  /** Like `pages`, with the record of each event. */
  entryPages(options?: PageOptions): AsyncIterable<readonly LogEntry[]>;

  /**
   * Whether the subject index covers every event; false during a rebuild, after a failed one, and
   * in a read-only log without a complete index.
   */
  readonly hasSubjectIndex: boolean;

  /**
   * Pages of events about any of the subjects, each event checked and yielded once. Reads only
   * matching events; the whole range when the index is incomplete.
   * @throws {StoreError} LOG_CORRUPT when an event or index row is corrupt
   */
  subjectPages(subjects: readonly Subject[], options?: PageOptions): AsyncIterable<readonly StoredEvent[]>;

  /**
   * Pages of events about images and artifacts whose digest begins with the hex digits `hex`, each
   * event checked and yielded once. Reads only matching events; the whole range when the index is
   * incomplete.
   * @throws {StoreError} LOG_CORRUPT when an event or index row is corrupt
   */
  prefixPages(hex: string, options?: PageOptions): AsyncIterable<readonly StoredEvent[]>;

  /**
   * Seqs of the events about any wanted reference, ascending. Reads the index rows of all
   * references, and one event for each that is not known, even for a small range; the whole range
   * when the index is incomplete. Names that collide in the index (eight bytes of SHA-256) are
   * taken for one of them.
   * @throws {StoreError} LOG_CORRUPT when an event or index row is corrupt
   */
  referenceSeqs(
    wanted: ReferenceSearch,
    options?: Pick<PageOptions, 'from' | 'to' | 'signal'>,
  ): Promise<readonly number[]>;

  /**
   * The events of `seqs`, in this order, each checked.
   * @throws {StoreError} LOG_CORRUPT when one is corrupt or missing
   */
  eventsOf(
    seqs: readonly number[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly StoredEvent[]>;

  /**
   * Event `seq`, checked; undefined beyond the log.
   * @throws {StoreError} LOG_CORRUPT when it is corrupt or missing
   */
  event(seq: number): StoredEvent | undefined;

  /** Position of the consumer `name`; undefined when unknown. */
  position(name: string): ConsumerPosition | undefined;

  /** Position of every consumer, by name. */
  positions(): Promise<ReadonlyMap<string, ConsumerPosition>>;

  /**
   * Bytes of `digest`, checked, owned by the caller; undefined when absent.
   * @throws {StoreError} CONTENT_CORRUPT when they do not match the digest
   */
  content(digest: Digest): Uint8Array | undefined;

  /** Stored size of `digest` in bytes, unchecked; undefined when absent. */
  contentSize(digest: Digest): number | undefined;

  /**
   * Removes the bytes of removed content from disk; resolves once no file of the log has them.
   * Waits for open content readers; event reads continue. The next open retries what is left.
   * @throws {StoreError} LOG_FAILED when it failed; STORE_CLOSED when the log was closed first
   */
  purge(): Promise<void>;

  /**
   * Moves all rows into tables, so that the next open is faster and needs little disk space. The
   * rows are durable anyway: a failure is a no-op.
   */
  flush(): Promise<void>;

  /** Opens a snapshot of all content. Content erased later stays on disk until it is closed. */
  openContent(): ContentReader;

  /**
   * Hashes of a tile of the tree at the head. Leaf hashes are checked against their records;
   * callers must verify those above.
   * @throws {StoreError} LOG_CORRUPT when a hash is missing or an event is corrupt; {RangeError}
   *   when the tree has no such tile
   */
  readTile(tile: Tile): Promise<Uint8Array>;

  /**
   * Snapshot of all stored rows, unchecked, including events beyond the head. The caller closes it.
   * @throws {StoreError} STORE_CLOSED, LOG_FAILED
   */
  storedRows(): RowReads;

  /**
   * Rebuilds all rows derived from the events, durable on return. No append may run meanwhile;
   * reads continue, subject reads by scanning their range. After a failure, reads do without the
   * index until the next call or open rebuilds it.
   * @throws {StoreError} LOG_CORRUPT when an event is corrupt or missing: nothing was changed;
   *   ABORTED; LOG_FAILED when a write failed, after which `recover` is required
   */
  renewRows(options?: RenewOptions): Promise<void>;

  /** Ends all reads and writes. */
  close(): Promise<void>;
}

/** LevelDB, or a read-only view of it. */
export type Database = Level<Uint8Array, Uint8Array> & {
  /** Compacts the keys from `start` to `end`; only LevelDB on a disk has it. */
  compactRange?(start: Uint8Array, end: Uint8Array): Promise<void>;
  /** Approximate bytes of tables that hold the keys from `start` to `end`. */
  approximateSize?(start: Uint8Array, end: Uint8Array): Promise<number>;
};

/** An atomic batch of row writes. */
export type Batch = ReturnType<Database['batch']>;

/** Writes a batch, durable on return. */
export type WriteBatch = (batch: Batch) => Promise<void>;

/** An iterator: LevelDB keeps its snapshot until it is closed. */
export interface OpenRows {
  close(): Promise<void>;
}

/** What reads of a log's rows need. */
export interface LogSource {
  readonly database: Database;
  /** Maps a database error to a StoreError. */
  readonly failure: (cause: unknown) => StoreError;
  /** Registers and returns a long-lived iterator, which may be closed during the read. */
  readonly opened: <Rows extends OpenRows>(rows: Rows) => Rows;
}

/** Seqs to read, both ends inclusive. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
  readonly reverse?: boolean | undefined;
  /** Maximum events per page. */
  readonly pageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Returns the head for a point and its tree, which must not change, or the error `root` throws. */
export function headAt({ seq, time }: LogPoint, tree: Frontier | StoreError): Head {
  let root: Uint8Array | undefined;
  return {
    seq,
    time,
    get root() {
      if (tree instanceof StoreError) throw tree;
      // Most callers need only the seq; a root costs several hashes.
      root ??= tree.root();
      return new Uint8Array(root);
    },
  };
}

/**
 * Whether the log extends the tree `earlier`: false when it has another root at that size, or fewer
 * events. Reads one tile per level.
 * @throws {StoreError} LOG_CORRUPT when the log's tree is corrupt
 */
export async function beginsWith(log: Log, earlier: TreeHead): Promise<boolean> {
  const { seq, root } = log.head;
  if (earlier.size > seq) return false;
  return equalBytes(earlier.root, earlier.size === seq ? root : await treeRoot(log, earlier.size));
}
