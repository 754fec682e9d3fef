import type { ExecutionContext } from 'ava';
import { type ErrorCode, StoreError } from '../../src/errors.js';

/** Asserts that `act` throws a StoreError with this code, and returns it, for checks of its message and data. */
export function storeError(t: ExecutionContext, code: ErrorCode, act: () => unknown, message?: string): StoreError {
  const error = t.throws(act, { instanceOf: StoreError }, message);
  t.is(error.code, code, message);
  return error;
}
