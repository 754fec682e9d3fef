import { StoreError } from '../errors.js';

/**
 * Returns what `level` threw at a read as the error that a caller can act on: STORE_CLOSED when the log was closed,
 * LOG_CORRUPT when LevelDB finds damage, LOG_FAILED for the rest. A StoreError is returned as it is.
 */
export function readFailure(cause: unknown, isClosed: boolean): StoreError {
  if (cause instanceof StoreError) return cause;
  if (isClosed) return new StoreError('STORE_CLOSED', 'cannot read the log: it is closed', { cause });
  const text = cause instanceof Error ? cause.message : String(cause);
  const code =
    cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_CORRUPTION' ? 'LOG_CORRUPT' : 'LOG_FAILED';
  return new StoreError(code, `cannot read the log: ${text}`, { cause });
}
