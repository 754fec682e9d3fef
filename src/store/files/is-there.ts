import { stat } from 'node:fs/promises';
import { ioFailure, systemCode } from './durable-file.js';

/**
 * Whether something is at `path`. A link counts as what it leads to: one that leads nowhere is nothing, and one that leads to itself is
 * there, as whoever opens it is told.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    if (code === 'ELOOP') return true;
    throw ioFailure(`look at ${path}`, error);
  }
}
