import { lstat, readFile, stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { ioFailure, systemCode } from './durable-file.js';

/**
 * Returns the bytes of the file at `path`, or undefined when nothing is there. What is no file is refused before it is
 * opened: a pipe would be waited for.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readRegularFile(path: string): Promise<Uint8Array | undefined> {
  try {
    if (!(await stat(path)).isFile()) throw notAFile(path);
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Whether a file is at `path`, or nothing; a link counts as what it leads to, and one that leads nowhere is neither.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function isFileOrMissing(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ELOOP') return false;
    if (code !== 'ENOENT') throw ioFailure(`look at ${path}`, error);
    return !(await isLink(path));
  }
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw ioFailure(`look at ${path}`, error);
  }
}

function notAFile(path: string): StoreError {
  return new StoreError('IO_FAILED', `cannot read ${path}: it is no file`, { data: { path } });
}
