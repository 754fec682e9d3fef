import type { OptionNames } from '../../model/option-names.js';
import { mustBeBoolean, mustBeFunction, mustBeOptions, mustBeSignal, mustBeText } from '../argument-types.js';
import type { Digest } from '../../model/digest.js';
import type { UncheckedRecord } from '../../log/event-rows.js';
import type { IndexRow } from '../../log/subject-index.js';
import type { ViewName } from '../../../projections/views.js';

/** Digest of each view of the store, in hex; different when the view answers differently. */
export type ViewDigests = Readonly<Record<ViewName, string>>;

/** Progress of a verification. */
export interface VerifyProgress {
  readonly what: 'events' | 'index' | 'content' | 'blobs' | 'snapshots';
  /** Events, rows, files or bytes (of blobs) checked so far. */
  readonly done: number;
  /** Total, where it is known. */
  readonly total: number | undefined;
}

/** Options of a verification. */
export interface VerifyOptions {
  /** Texts of checkpoints, signed or not, that the log must contain besides its own. */
  readonly against?: string | readonly string[] | undefined;
  /** Key (Go note format: `NAME+hash+key`) that must have signed each checkpoint. */
  readonly key?: string | undefined;
  /**
   * Check only the Merkle tree and checkpoints; decode no record. A row of one event is believed to
   * have the leaf hash that it stores.
   */
  readonly fast?: boolean | undefined;
  /** Called as events, rows, files and bytes are checked. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Called for harmless findings: an interrupted backup, what a rebuild set aside. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /**
   * Milliseconds that `verifyStore` waits while another process writes to the store; then
   * STORE_LOCKED. Default 0.
   */
  readonly lockTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const verifyOptionNames: OptionNames<VerifyOptions> = {
  lockTimeoutMs: true,
  against: true,
  key: true,
  fast: true,
  onProgress: true,
  onNotice: true,
  signal: true,
};

/**
 * Validates option types, so that a requested check is never skipped silently.
 * @throws {TypeError} naming the option
 */
export function checkVerifyOptions(options: VerifyOptions): void {
  mustBeOptions(options, verifyOptionNames);
  const { against, key, fast, onProgress, onNotice, signal } = options;
  for (const text of Array.isArray(against) ? against : [against]) mustBeText('against', text);
  mustBeText('key', key);
  mustBeBoolean('fast', fast);
  if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
  if (onNotice !== undefined) mustBeFunction('onNotice', onNotice);
  mustBeSignal('signal', signal);
}

/**
 * Every kind of damage that verification can find, with its meaning. The list is closed and stable
 * within a major version: scripts match on codes, never on messages.
 */
export const violationCodes = {
  SIDECAR_MISSING: '`imagelog.json` is missing: the store cannot be identified.',
  SIDECAR_DAMAGED: '`imagelog.json` is damaged.',
  LOG_FILE_DAMAGED: 'A file of the database is damaged or missing; the message says which events that costs.',
  LOG_UNOPENABLE: 'LevelDB does not open the log; the message has its cause.',
  ROWS_UNREADABLE: 'Some rows or files of one kind cannot be read: their content is missing from the checks after it.',
  ROW_UNKNOWN: 'A row of the database is of no kind that this version knows.',
  FILE_UNKNOWN: 'A file of an unknown name.',

  RECORD_MISSING: 'An event is missing between others.',
  RECORD_DAMAGED:
    'A record, or one of the row that it shares, is not what was hashed when it was written, or is no record.',
  RECORD_NOT_CANONICAL: 'A record encodes an event in other bytes than this version would write.',
  SEQ_WRONG: 'A record is at another position of the log than it says.',
  TIME_DECREASED: 'An event is older than the one before it.',
  TRANSACTION_BROKEN: 'The events of one command are incomplete, or not adjacent.',
  EVENT_CONTRADICTS: 'An event contradicts the events before it.',

  LEAF_MISSING: 'The leaf hash of an event is missing.',
  LEAF_WRONG: 'The leaf hash of an event is not that of its record, or the checksum of a row not that of its records.',
  TILE_MISSING: 'A hash of the Merkle tree is missing.',
  TILE_WRONG: 'A hash of the Merkle tree is not what the leaves give.',
  TILE_SUPERFLUOUS: 'A hash of the Merkle tree is beyond the end of the log.',

  CHECKPOINT_MISSING: 'The checkpoint is missing.',
  CHECKPOINT_DAMAGED: 'A checkpoint is malformed.',
  CHECKPOINT_FOREIGN: 'A checkpoint is of another log.',
  CHECKPOINT_AHEAD: 'The log is shorter than a checkpoint says: its end was lost.',
  CHECKPOINT_FORKED: 'The log is not the one that a checkpoint commits to.',
  SIGNATURE_WRONG: 'A checkpoint has no valid signature by the given key.',

  INDEX_MISSING: 'The subject index lacks an event.',
  INDEX_SUPERFLUOUS: 'The subject index names an event that is not about the subject.',
  INDEX_DAMAGED: 'A row of the subject index is malformed.',
  POSITION_DAMAGED: 'The position of a consumer is malformed.',
  POSITION_AHEAD: 'The position of a consumer is after the end of the log.',

  CONTENT_MISSING: 'Content that an event names is missing.',
  CONTENT_WRONG: 'Content has another digest than its name.',
  CONTENT_UNNAMED: 'Content is in the store that no event ever named.',
  CONTENT_NOT_ERASED: 'Content is in the store although an event says that it was erased.',
  ERASED_KEPT: 'A damaged log that a rebuild set aside may contain erased content: remove its folder or move it away.',
  BLOB_MISSING: 'A layer blob that an event names, and none removed, is missing.',
  BLOB_SIZE_WRONG:
    'A layer blob is of another size than its event says, or larger than any can be; its digest is not checked.',
  BLOB_WRONG: 'A layer blob has another digest than its name.',
  BLOB_UNNEEDED: 'A layer blob is in the store that nothing needs.',

  SNAPSHOT_DAMAGED: 'A snapshot is malformed or incomplete.',
  SNAPSHOT_FOREIGN: 'A snapshot is of another store, or of another log than this.',
  SNAPSHOT_WRONG: 'The views of a snapshot are not what the events give.',
  VIEW_WRONG: 'The views of the open store are not what the events give.',

  NOT_CHECKED: 'Something could not be checked, because of other damage that is reported with it.',
} as const satisfies Record<string, string>;

/** A code of the closed list above. */
export type ViolationCode = keyof typeof violationCodes;

/** One fault found by verification. */
export interface Violation {
  readonly code: ViolationCode;
  /** Where: `event 12`, `tile 1/0`, `content sha256:…`, a path below the directory, an argument. */
  readonly place: string;
  /** One sentence for people. */
  readonly message: string;
  /** The event concerned. */
  readonly seq?: number | undefined;
  /** The content or blob concerned. */
  readonly digest?: Digest | undefined;
  readonly expected?: string | number | undefined;
  readonly found?: string | number | undefined;
}

/** Receives a violation. */
export type Report = (violation: Violation) => void;

/** Context of each pass over a source. */
export interface Reading {
  /** Receives the source's own findings: unreadable rows or files, unknown names. */
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** A record as stored, unchecked. */
export interface StoredRecord extends UncheckedRecord {
  /** Path of its bundle; absent in a log, where it is `event 12`. */
  readonly place?: string | undefined;
  /** Path of the tile that holds the leaf hash, where that differs. */
  readonly leafPlace?: string | undefined;
}

/** A hash of the Merkle tree as stored, unchecked. */
export interface StoredHash {
  /** Position in its level, from 0. */
  readonly index: number;
  /** 32 bytes, or as many as were found. */
  readonly hash: Uint8Array;
  /** `tile 1/0`, `event 12` for a leaf, or the path of its tile. */
  readonly place: string;
}

/** Content as stored, unchecked. */
export interface StoredContent {
  /** By its name. */
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Path of its file; absent in a log, where it is `content sha256:…`. */
  readonly place?: string | undefined;
}

/** A layer blob as stored, unchecked. */
export interface StoredBlob {
  /** By its name. */
  readonly digest: Digest;
  /** Bytes of the file. */
  readonly size: number;
  readonly place: string;
  /** Streams its bytes. May throw: the blob is then reported as unreadable. */
  read(): AsyncIterable<Uint8Array>;
}

/** Row of a consumer's position, unchecked. */
export interface StoredPosition {
  readonly name: string;
  readonly row: Uint8Array;
}

/** The checkpoint stored beside a log, unchecked. */
export interface StoredCheckpoint {
  /** UTF-8 bytes, or decoded. */
  readonly text: Uint8Array | string;
  readonly place: string;
}

/** A file of `snapshots/`, unchecked. */
export interface StoredSnapshot {
  /** File name. */
  readonly name: string;
  /** Resolves with its bytes; undefined when it was removed meanwhile. */
  read(): Promise<Uint8Array | undefined>;
}

/** Live views as they were after the events up to `seq`. */
export interface LiveViews {
  readonly seq: number;
  readonly digests: () => Promise<ViewDigests>;
}

/** Store that the bytes belong to. */
export interface SourceIdentity {
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
}

/**
 * What is verified: a store or a backup, behind one interface. Everything is as of one moment, even
 * while a writer continues.
 *
 * Implementers: return what is there and leave judging to the caller. Report what cannot be read
 * and continue with the rest; throw only when nothing more can be read. Each stream can be
 * requested repeatedly and yields in ascending order of seq, index or digest; content in any order.
 * Small items come in pages: a turn for each would cost as much as its check.
 */
export interface VerifySource {
  /** Undefined when the sidecar is missing or damaged, which was reported when it was read. */
  readonly identity: SourceIdentity | undefined;
  /** Seq of the last record. */
  readonly size: number;
  /** The checkpoint beside the log; undefined when there is none. */
  readonly checkpoint: StoredCheckpoint | undefined;

  /** Pages of the records that exist; a skipped seq is missing. */
  records(reading: Reading): AsyncIterable<readonly StoredRecord[]>;
  /**
   * Pages of the hashes of one tile level, including those beyond the tree of `size` leaves. Level 0 (the leaf
   * hashes) is requested only when records are not.
   */
  hashes(level: number, reading: Reading): AsyncIterable<readonly StoredHash[]>;
  /** Pages of content. Where an interrupted run may have left files, what is not `isNamed` is skipped. */
  contents(reading: Reading, isNamed: (digest: Digest) => boolean): AsyncIterable<readonly StoredContent[]>;
  /** Layer blobs; `isNeeded` is to blobs what `isNamed` is to content. */
  blobs(reading: Reading, isNeeded: (digest: Digest) => boolean): AsyncIterable<StoredBlob>;

  /** Pages of rows of the subject index. Absent where none is kept, like the next four. */
  indexRows?(reading: Reading): AsyncIterable<readonly IndexRow[]>;
  positions?(reading: Reading): AsyncIterable<StoredPosition>;
  snapshots?(reading: Reading): AsyncIterable<StoredSnapshot>;
  readonly liveViews?: LiveViews | undefined;
  /** Reports rows and files of no known kind. */
  reportStrays?(reading: Reading): Promise<void>;

  /** Names of the damaged logs set aside by rebuilds; absent where there are none. */
  readonly damagedLogs?: readonly string[] | undefined;
  /** Names of the checkpoints of events that rebuilds accepted as lost; absent where there are none. */
  readonly lostCheckpoints?: readonly string[] | undefined;

  /**
   * Whether a blob is missing or unneeded only because of a write after the source's moment. Absent
   * where there is no writer.
   */
  isInFlight?(digest: Digest): Promise<boolean>;
}
