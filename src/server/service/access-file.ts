import { readFile } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { MAX_ACCESS_FILE_BYTES } from '../../limits.js';
import { ioFailure } from '../../store/files/files.js';
import type { AccessOptions } from '../access/options.js';

/**
 * Reads a file of access options. Their form is checked by `accessFrom`.
 * @throws {StoreError} FILE_NOT_FOUND, IO_FAILED; ACCESS_INVALID for what is no JSON, or too large
 */
export async function readAccessOptions(path: string): Promise<AccessOptions> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw ioFailure(`read the access options ${path}`, error);
  });
  if (bytes.length > MAX_ACCESS_FILE_BYTES) {
    throw new StoreError('ACCESS_INVALID', `${path} has more than ${MAX_ACCESS_FILE_BYTES} bytes`);
  }
  try {
    const options: AccessOptions = JSON.parse(bytes.toString());
    return options;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError('ACCESS_INVALID', `${path} is no JSON: ${why}`, { cause, data: { path } });
  }
}
