import type { IndexRow } from '../../log/subject-index.js';
import type { Digest } from '../../model/digest.js';
import type { ViewDigests } from './view-digests.js';
import type { Report } from './violation.js';

/** What each reading of a source is given. */
export interface Reading {
  /** Takes what the source itself finds wrong: rows or files that it cannot read, names that nobody gives. */
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** A record as it is kept, unchecked. */
export interface StoredRecord {
  /** Position that its key or its place in a bundle gives it. */
  readonly seq: number;
  /** Empty when what stands there is too short for one. */
  readonly record: Uint8Array;
  /** The leaf hash that is kept of it, 32 bytes; undefined when there is none. */
  readonly leafHash: Uint8Array | undefined;
  /** `event 12`, or the path of the bundle it is in. */
  readonly place: string;
  /** The path of the tile that its leaf hash is in, where that is another place. */
  readonly leafPlace?: string | undefined;
}

/** A hash of the Merkle tree as it is kept, unchecked. */
export interface StoredHash {
  /** Among all hashes of its level, from 0. */
  readonly index: number;
  /** 32 bytes, or as many as were found. */
  readonly hash: Uint8Array;
  /** `tile 1/0`, or the path of the tile it is in. */
  readonly place: string;
}

/** Content as it is kept, unchecked. */
export interface StoredContent {
  /** What its name says. */
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly place: string;
}

/** A layer blob as it is kept, unchecked. */
export interface StoredBlob {
  /** What its name says. */
  readonly digest: Digest;
  /** Bytes of the file. */
  readonly size: number;
  readonly place: string;
  /** Gives its bytes. May throw: then the blob is said to be unreadable. */
  read(): AsyncIterable<Uint8Array>;
}

/** The row of a consumer's position, unchecked. */
export interface StoredPosition {
  readonly name: string;
  readonly row: Uint8Array;
}

/** The checkpoint that stands beside a log, unchecked. */
export interface StoredCheckpoint {
  /** As UTF-8, or decoded. */
  readonly text: Uint8Array | string;
  readonly place: string;
}

/** A file of `snapshots/`, unchecked. */
export interface StoredSnapshot {
  /** The name of the file. */
  readonly name: string;
  /** Resolves with its bytes; undefined when it is gone meanwhile. */
  read(): Promise<Uint8Array | undefined>;
}

/** Views that live on, as they were when they had folded the events up to `seq`. */
export interface LiveViews {
  readonly seq: number;
  readonly digests: () => Promise<ViewDigests>;
}

/** Which store the bytes are of. */
export interface SourceIdentity {
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
}

/**
 * What is verified: a store or a backup, each with its own way to keep the same things. All of it is as of one moment,
 * also while a writer goes on.
 *
 * Implementers: give what is there and leave judging to who asks. What cannot be read is reported and passed over, so that
 * the rest is still given; throw only when nothing more can be given. Every stream may be asked for more than once, and gives its
 * items in ascending order of seq, index or digest.
 */
export interface VerifySource {
  /** Undefined when the file that says it is missing or damaged, which is reported by whoever made the source. */
  readonly identity: SourceIdentity | undefined;
  /** Seq of the last record. */
  readonly size: number;
  /** The checkpoint that stands beside the log; undefined when there is none. */
  readonly checkpoint: StoredCheckpoint | undefined;

  /** The records that are there; a seq that is passed over is missing. */
  records(reading: Reading): AsyncIterable<StoredRecord>;
  /**
   * The hashes of one level of tiles: those of level 0 are the leaf hashes, asked for when no record is. What is beyond the tree of
   * `size` leaves is given too.
   */
  hashes(level: number, reading: Reading): AsyncIterable<StoredHash>;
  /** Content. Where an interrupted run may have left files, what is not `isNamed` is skipped. */
  contents(reading: Reading, isNamed: (digest: Digest) => boolean): AsyncIterable<StoredContent>;
  /** Layer blobs. `isNeeded` is for blobs what `isNamed` is for content. */
  blobs(reading: Reading, isNeeded: (digest: Digest) => boolean): AsyncIterable<StoredBlob>;

  /** Rows of the subject index; absent where none is kept, as the next four. */
  indexRows?(reading: Reading): AsyncIterable<IndexRow>;
  positions?(reading: Reading): AsyncIterable<StoredPosition>;
  snapshots?(reading: Reading): AsyncIterable<StoredSnapshot>;
  readonly liveViews?: LiveViews | undefined;
  /** Reports what stands where nobody puts anything: rows and files of no known kind. */
  reportStrays?(reading: Reading): Promise<void>;

  /** Names of the damaged logs that rebuilds put aside; absent where there are none. */
  readonly damagedLogs?: readonly string[] | undefined;

  /**
   * Whether a blob that is missing, or is there without need, is so by now because a writer went on since the moment
   * of the source. Absent where nobody writes.
   */
  isInFlight?(digest: Digest): Promise<boolean>;
}
