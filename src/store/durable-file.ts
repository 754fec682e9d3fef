import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StoreError } from '../errors.js';

/**
 * Replaces the file at `path` by `bytes`, durable on return: a reader sees the old bytes or the new, after a crash too.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function writeDurableFile(path: string, bytes: Uint8Array): Promise<void> {
  // Not made from the file's own name, which may be as long as a name can be.
  const temporary = join(dirname(path), `.tmp-${randomBytes(12).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    // A crash before the rename leaves the old file and one that nobody reads; after it, the new one.
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw ioFailure(`write ${path}`, error);
  }
}

/** Makes the names in a directory durable, where the system can (Windows cannot). */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Returns a failed file operation as the error that a caller can act on; a StoreError is returned as it is. */
export function ioFailure(action: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = systemCode(error);
  const options = { cause: error, data: { systemCode: code } };
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new StoreError('DISK_FULL', `cannot ${action}: no space is left (${code})`, options);
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StoreError('STORE_NOT_WRITABLE', `cannot ${action}: not permitted (${code})`, options);
  }
  return new StoreError(
    'IO_FAILED',
    `cannot ${action}: ${error instanceof Error ? error.message : String(error)}`,
    options,
  );
}

/** The system's code of a failed operation, as ENOENT; empty when the error has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
