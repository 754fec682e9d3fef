import { StoreError } from '../errors.js';

/**
 * Returns what `level` threw at opening `location` as the error that a caller can act on:
 * STORE_LOCKED, LOG_CORRUPT, DISK_FULL, STORE_NOT_WRITABLE, or LOG_FAILED for the rest.
 */
export function openFailure(location: string, cause: unknown): StoreError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : '';
  const text = inner instanceof Error ? inner.message : String(inner);
  const options = { cause, data: { location } };
  if (code === 'LEVEL_LOCKED') {
    return new StoreError('STORE_LOCKED', `cannot open the log ${location}: it is open already`, options);
  }
  if (code === 'LEVEL_CORRUPTION' || /does not exist \(create_if_missing is false\)/.test(text)) {
    return new StoreError('LOG_CORRUPT', `cannot open the log ${location}: LevelDB found damage: ${text}`, options);
  }
  if (/No space left/.test(text)) {
    return new StoreError('DISK_FULL', `cannot open the log ${location}: the disk is full`, options);
  }
  if (/Permission denied|Read-only file system/.test(text)) {
    return new StoreError('STORE_NOT_WRITABLE', `cannot open the log ${location}: ${text}`, options);
  }
  return new StoreError('LOG_FAILED', `cannot open the log ${location}: ${text}`, options);
}
