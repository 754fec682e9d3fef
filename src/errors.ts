/** Six kinds of errors, by what a caller can do about them. */
export type ErrorKind = 'NotFound' | 'InvalidParameter' | 'Conflict' | 'Unavailable' | 'Corrupt' | 'Internal';

/**
 * Kind of every error code. The list is closed and stable within a major version: scripts match on
 * codes, never on messages.
 */
export const errorKinds = {
  // Missing.
  IMAGE_NOT_FOUND: 'NotFound',
  PARENT_NOT_FOUND: 'NotFound',
  REFERENCE_NOT_FOUND: 'NotFound',
  REFERENCE_NOT_IMAGE: 'NotFound',
  ARTIFACT_NOT_FOUND: 'NotFound',
  METADATA_NOT_FOUND: 'NotFound',
  LAYER_NOT_FOUND: 'NotFound',
  PLATFORM_NOT_FOUND: 'NotFound',
  FILE_NOT_FOUND: 'NotFound',
  STORE_NOT_FOUND: 'NotFound',
  SUBJECT_NOT_FOUND: 'NotFound',
  CONSUMER_NOT_FOUND: 'NotFound',
  CONTENT_NOT_FOUND: 'NotFound',
  BLOB_NOT_FOUND: 'NotFound',
  UPLOAD_NOT_FOUND: 'NotFound',
  CONTENT_ERASED: 'NotFound',
  EVENT_NOT_FOUND: 'NotFound',
  BACKUP_NOT_FOUND: 'NotFound',
  REGISTRY_NOT_FOUND: 'NotFound',

  // Invalid input.
  CONFIG_INVALID: 'InvalidParameter',
  CONFIG_TOO_LARGE: 'InvalidParameter',
  HISTORY_INVALID: 'InvalidParameter',
  OS_UNSUPPORTED: 'InvalidParameter',
  DIGEST_INVALID: 'InvalidParameter',
  REFERENCE_INVALID: 'InvalidParameter',
  PLATFORM_INVALID: 'InvalidParameter',
  TIME_INVALID: 'InvalidParameter',
  TIME_OUT_OF_RANGE: 'InvalidParameter',
  FILTER_INVALID: 'InvalidParameter',
  CONSUMER_INVALID: 'InvalidParameter',
  ACK_FOREIGN: 'InvalidParameter',
  PROJECTION_INVALID: 'InvalidParameter',
  PARENT_CYCLE: 'InvalidParameter',
  METADATA_INVALID: 'InvalidParameter',
  RECORD_TOO_LARGE: 'InvalidParameter',
  ENVELOPE_INVALID: 'InvalidParameter',
  LAYER_MISSING: 'InvalidParameter',
  LAYER_INVALID: 'InvalidParameter',
  LAYER_MISMATCH: 'InvalidParameter',
  COMPRESSION_INVALID: 'InvalidParameter',
  ARCHIVE_INVALID: 'InvalidParameter',
  ARCHIVE_TRUNCATED: 'InvalidParameter',
  ARCHIVE_NAME_UNSAFE: 'InvalidParameter',
  ARCHIVE_LINK_INVALID: 'InvalidParameter',
  ARCHIVE_EMPTY: 'InvalidParameter',
  ARCHIVE_FILE_MISSING: 'InvalidParameter',
  ARCHIVE_MANIFEST_INVALID: 'InvalidParameter',
  ARCHIVE_LIMIT_EXCEEDED: 'InvalidParameter',
  BLOB_MISMATCH: 'InvalidParameter',
  STORE_NOT_A_DIRECTORY: 'InvalidParameter',
  KEY_INVALID: 'InvalidParameter',
  KEY_EXPOSED: 'InvalidParameter',
  KEY_FOREIGN: 'InvalidParameter',
  CHECKPOINT_INVALID: 'InvalidParameter',
  CHECKPOINT_FOREIGN: 'InvalidParameter',
  SIGNATURE_INVALID: 'InvalidParameter',
  PROOF_INVALID: 'InvalidParameter',
  ORIGIN_INVALID: 'InvalidParameter',
  ACCESS_INVALID: 'InvalidParameter',
  ADDRESS_REFUSED: 'InvalidParameter',
  TLS_INVALID: 'InvalidParameter',
  SETTING_INVALID: 'InvalidParameter',
  REGISTRY_DENIED: 'InvalidParameter',
  REGISTRY_REFUSED: 'InvalidParameter',
  REGISTRY_INVALID: 'InvalidParameter',

  // Conflicts with the current state.
  ID_AMBIGUOUS: 'Conflict',
  REFERENCE_EXISTS: 'Conflict',
  IMAGE_IN_USE: 'Conflict',
  ARTIFACT_IN_USE: 'Conflict',
  LAYER_NOT_HELD: 'Conflict',
  CONSUMER_TAKEN: 'Conflict',
  ACK_OUT_OF_ORDER: 'Conflict',
  ACKS_MISSING: 'Conflict',
  PROJECTION_TAKEN: 'Conflict',
  PROJECTION_OUTDATED: 'Conflict',
  CONTENT_IN_USE: 'Conflict',
  UPLOAD_OUT_OF_ORDER: 'Conflict',
  DAMAGED_LOG_KEPT: 'Conflict',
  LOSS_MISMATCH: 'Conflict',
  CHECKPOINT_FORKED: 'Conflict',
  FILE_EXISTS: 'Conflict',
  STORE_EXISTS: 'Conflict',
  STORE_NOT_EMPTY: 'Conflict',
  BACKUP_FOREIGN: 'Conflict',
  ADDRESS_IN_USE: 'Conflict',

  // Not now, or not in this state.
  STORE_LOCKED: 'Unavailable',
  STORE_CLOSED: 'Unavailable',
  STORE_READ_ONLY: 'Unavailable',
  STORE_NOT_WRITABLE: 'Unavailable',
  STORE_FORMAT_UNSUPPORTED: 'Unavailable',
  LAYERS_UNAVAILABLE: 'Unavailable',
  CONSUMER_CLOSED: 'Unavailable',
  PROJECTION_FAILED: 'Unavailable',
  UPLOAD_LIMIT_EXCEEDED: 'Unavailable',
  DISK_FULL: 'Unavailable',
  OUTCOME_UNKNOWN: 'Unavailable',
  LOG_FAILED: 'Unavailable',
  SERVER_UNAVAILABLE: 'Unavailable',
  SERVER_BUSY: 'Unavailable',
  ACCESS_DENIED: 'Unavailable',
  ABORTED: 'Unavailable',
  REGISTRY_UNAVAILABLE: 'Unavailable',

  // Stored or received data is corrupt.
  SIDECAR_INVALID: 'Corrupt',
  LOG_CORRUPT: 'Corrupt',
  CONTENT_CORRUPT: 'Corrupt',
  BLOB_MISSING: 'Corrupt',
  BLOB_CORRUPT: 'Corrupt',
  PROOF_REJECTED: 'Corrupt',
  BACKUP_INVALID: 'Corrupt',

  IO_FAILED: 'Internal',
  INTERNAL: 'Internal',
} as const satisfies Record<string, ErrorKind>;

/** A code of the closed list above. */
export type ErrorCode = keyof typeof errorKinds;

/** Details of one error, by name: ids, names, limits, sizes in bytes. */
type ErrorData = Readonly<Record<string, unknown>>;

/**
 * The only error class of this package. `code` says what happened, `kind` how to react, `data` what
 * is affected.
 *
 * Programming errors (missing argument, wrong type of option) are `TypeError` or `RangeError`.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; data?: ErrorData } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.kind = errorKinds[code];
    this.data = options.data ?? {};
  }
}

/** Whether `error` is a StoreError, of this code if given. */
export function isStoreError(error: unknown, code?: ErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code);
}

/** Throws if `signal` is aborted. @throws {StoreError} ABORTED, caused by the signal's reason */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

/** Returns the error of an operation aborted by `signal`. */
export function aborted(signal: AbortSignal): StoreError {
  return new StoreError('ABORTED', 'the operation was aborted', { cause: signal.reason });
}

/**
 * Awaits a lazy import. Node caches a failed import and never retries it, so `openStore` loads what
 * a store may need while it can still fail; except decoders of rarer compressions.
 * @throws {StoreError} IO_FAILED when loading fails; only a new process can retry
 */
export async function loadCode<Code>(what: string, code: Promise<Code>): Promise<Code> {
  try {
    return await code;
  } catch (cause) {
    throw new StoreError('IO_FAILED', `cannot load the code ${what}: a new process may be able to`, { cause });
  }
}
