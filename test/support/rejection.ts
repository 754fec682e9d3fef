import type { ExecutionContext } from 'ava';
import { type ErrorCode, StoreError } from '../../src/errors.js';

/** Asserts that `work` rejects with a StoreError of this code, and returns it, for checks of its message and data. */
export async function rejection(
  t: ExecutionContext,
  code: ErrorCode,
  work: Promise<unknown> | (() => Promise<unknown>),
  message?: string,
): Promise<StoreError> {
  const error = await t.throwsAsync(typeof work === 'function' ? work() : work, { instanceOf: StoreError }, message);
  t.is(error.code, code, message);
  return error;
}
