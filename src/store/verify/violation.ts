import type { Digest } from '../../model/digest.js';

/**
 * Every kind of damage that verification can find, with what it means. The list is closed and stable within a major version:
 * scripts match on codes, never on messages.
 */
export const violationCodes = {
  SIDECAR_MISSING: '`imagelog.json` is missing: what is there has no name.',
  SIDECAR_DAMAGED: '`imagelog.json` does not say what it must.',
  LOG_FILE_DAMAGED: 'A file of the database is damaged or missing; the message says which events that costs.',
  LOG_UNOPENABLE: 'LevelDB does not open the log; the message has its cause.',
  ROWS_UNREADABLE: 'Some rows or files of one kind cannot be read: what they held is missing from what follows.',
  ROW_UNKNOWN: 'A row of the database is of no kind that this version knows.',
  FILE_UNKNOWN: 'A file stands where nobody writes one of its name.',

  RECORD_MISSING: 'An event is missing between others.',
  RECORD_DAMAGED: 'A record is not what was hashed when it was written, or is no record.',
  RECORD_NOT_CANONICAL: 'A record holds an event in other bytes than this version would write.',
  SEQ_WRONG: 'A record stands at another place of the log than it says.',
  TIME_DECREASED: 'An event is older than the one before it.',
  TRANSACTION_BROKEN: 'The events of one command are not all there, or not adjacent.',
  EVENT_CONTRADICTS: 'An event says what cannot be after the events before it.',

  LEAF_MISSING: 'The leaf hash of an event is missing.',
  LEAF_WRONG: 'The leaf hash that stands with an event is not that of its record.',
  TILE_MISSING: 'A hash of the Merkle tree is missing.',
  TILE_WRONG: 'A hash of the Merkle tree is not what the leaves give.',
  TILE_SUPERFLUOUS: 'There is a hash of the Merkle tree that the log is too short for.',

  CHECKPOINT_MISSING: 'The checkpoint that must stand here is missing.',
  CHECKPOINT_DAMAGED: 'A checkpoint is not the text of one.',
  CHECKPOINT_FOREIGN: 'A checkpoint is of another log.',
  CHECKPOINT_AHEAD: 'The log is shorter than a checkpoint says: its end was lost.',
  CHECKPOINT_FORKED: 'The log is not the one that a checkpoint commits to.',
  SIGNATURE_WRONG: 'A checkpoint has no good signature by the key that was given.',

  INDEX_MISSING: 'The subject index lacks an event.',
  INDEX_SUPERFLUOUS: 'The subject index names an event that is not about the subject.',
  INDEX_DAMAGED: 'A row of the subject index is none.',
  POSITION_DAMAGED: 'The position of a consumer is none.',
  POSITION_AHEAD: 'The position of a consumer is after the end of the log.',

  CONTENT_MISSING: 'Content that an event names is missing.',
  CONTENT_WRONG: 'Content has another digest than its name.',
  CONTENT_UNNAMED: 'There is content that no event ever named.',
  CONTENT_NOT_ERASED: 'There is content although an event says that it was erased.',
  ERASED_KEPT:
    'A damaged log that a rebuild put aside may hold content that was erased: remove its folder or move it away.',
  BLOB_MISSING: 'A layer blob that an event names, and none removed, is missing.',
  BLOB_SIZE_WRONG:
    'A layer blob is of another size than its event says, or larger than any can be; its digest is not looked at.',
  BLOB_WRONG: 'A layer blob has another digest than its name.',
  BLOB_UNNEEDED: 'There is a layer blob that nothing in the store needs.',

  SNAPSHOT_DAMAGED: 'A snapshot is none, or not whole.',
  SNAPSHOT_FOREIGN: 'A snapshot is of another store, or of another log than this.',
  SNAPSHOT_WRONG: 'The views of a snapshot are not what the events give.',
  VIEW_WRONG: 'The views of the open store are not what the events give.',

  NOT_CHECKED: 'Something could not be checked, because of other damage that is said beside it.',
} as const satisfies Record<string, string>;

/** A code of the closed list above. */
export type ViolationCode = keyof typeof violationCodes;

/** One thing that is not as it must be. */
export interface Violation {
  readonly code: ViolationCode;
  /** Where: `event 12`, `tile 1/0`, `content sha256:…`, a path below the directory, an argument. */
  readonly place: string;
  /** One sentence for a person. */
  readonly message: string;
  /** The event that it is about. */
  readonly seq?: number | undefined;
  /** The content or blob that it is about. */
  readonly digest?: Digest | undefined;
  readonly expected?: string | number | undefined;
  readonly found?: string | number | undefined;
}

/** Takes note of a violation. */
export type Report = (violation: Violation) => void;
