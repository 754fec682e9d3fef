import { StoreError } from './errors.js';

/**
 * Throws when `signal` was aborted, and returns otherwise.
 * @throws {StoreError} ABORTED, with the signal's reason as its cause
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

/** Returns the error of an operation that `signal` ended. */
export function aborted(signal: AbortSignal): StoreError {
  return new StoreError('ABORTED', 'the operation was aborted', { cause: signal.reason });
}
