import { type ErrorCode, isStoreError } from '../../../src/errors.js';

/** What `read` returns, or undefined when it fails with a StoreError of one of these codes. Any other failure is thrown. */
export async function allowedFailure<Value>(
  read: () => Value | Promise<Value>,
  codes: readonly ErrorCode[],
): Promise<Value | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isStoreError(error) && codes.includes(error.code)) return undefined;
    throw error;
  }
}
