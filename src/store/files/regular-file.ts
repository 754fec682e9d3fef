import { type FileHandle, lstat, open, readFile, stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { ioFailure, systemCode } from './durable-file.js';
import { readSmallFile } from './read-small-file.js';

/**
 * Returns the bytes of the file at `path`, or undefined when nothing is there. What is no file is refused before it is
 * opened: a pipe would be waited for. Of a larger file than `limitBytes` one byte more is returned,
 * so that parsing refuses it.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readRegularFile(path: string, limitBytes?: number): Promise<Uint8Array | undefined> {
  try {
    if (!(await stat(path)).isFile()) throw notAFile(path);
    return limitBytes === undefined ? await readFile(path) : await readSmallFile(path, limitBytes);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Returns the first `size` bytes of the file at `path`, fewer when it ends before, or undefined when nothing is there. The caller knows that it is a file. They are
 * asked for at once, where `readFile` asks for half a MiB at a time and in between waits for its turn.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readWholeFile(path: string, size: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path);
    return await readFirst(file, size).finally(() => file.close());
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

async function readFirst(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
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
