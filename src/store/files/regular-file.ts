import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, lstat, open, stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { ioFailure, systemCode } from './durable-file.js';

/*
 * How files are opened that somebody else may have replaced. The directory of a store, a backup or
 * a key may be reached through links; a file in it is never one: a link, a pipe, a device or a
 * folder in its place is refused, and never waited for. Writing needs nothing of this: a file is
 * made under a new name and renamed, which replaces a link and leaves what it leads to as it is.
 */

/** Bytes that are asked for at a time of a file whose size is not known. */
const CHUNK_BYTES = 64 * 1024;

/** Thrown when what must be a file is something else. */
export class NotAFile extends StoreError {
  constructor(path: string) {
    super('IO_FAILED', `cannot read ${path}: it is no file`, { data: { path } });
  }
}

export interface OpenFileOptions {
  /** `followed` for a path that the user named: then a link to a file is a file. */
  readonly links?: 'refused' | 'followed';
}

export interface ReadFileOptions extends OpenFileOptions {
  /** Of a larger file, one byte more than this is read, so that its parser refuses it. */
  readonly limitBytes?: number;
}

// Windows has neither flag: there, what is looked at before opening must do.
const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;
const OWN_FILE = WITHOUT_WAITING | constants.O_NOFOLLOW;

/**
 * Opens the file at `path` for reading.
 * @throws {NotAFile} when it is something else; Node's own error otherwise, as ENOENT
 */
export async function openRegularFile(path: string, { links = 'refused' }: OpenFileOptions = {}): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    const isFollowed = links === 'followed';
    // A device may act on being opened, so this comes first; the same is asked again of what was
    // opened.
    if (!(await (isFollowed ? stat(path) : lstat(path))).isFile()) throw new NotAFile(path);
    file = await open(path, isFollowed ? WITHOUT_WAITING : OWN_FILE);
    if (!(await file.stat()).isFile()) throw new NotAFile(path);
    return file;
  } catch (error) {
    await file?.close();
    throw systemCode(error) === 'ELOOP' ? new NotAFile(path) : error;
  }
}

/**
 * Resolves with the bytes of the file at `path`, or undefined when nothing is there.
 * @throws {NotAFile} when it is something else
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readRegularFile(path: string, options: ReadFileOptions = {}): Promise<Uint8Array | undefined> {
  try {
    await using file = await openRegularFile(path, options);
    return options.limitBytes === undefined ? await file.readFile() : await readAtMost(file, options.limitBytes + 1);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/** As `readRegularFile`, at once. */
export function readRegularFileSync(path: string): Uint8Array | undefined {
  try {
    if (!lstatSync(path).isFile()) throw new NotAFile(path);
    const file = openSync(path, OWN_FILE);
    try {
      if (!fstatSync(file).isFile()) throw new NotAFile(path);
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Resolves with the first `size` bytes of the file at `path`, fewer when it ends before, or
 * undefined when nothing is there. They are asked for at once, where `readFile` asks for half a MiB
 * at a time and in between waits for its turn.
 * @throws {NotAFile} when it is something else
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readWholeFile(path: string, size: number): Promise<Uint8Array | undefined> {
  try {
    await using file = await openRegularFile(path);
    return await readAtMost(file, size, size);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Resolves with the bytes of `file` from its position on, `limit` at most. It may be a pipe. Fails
 * as Node does.
 */
export async function readAtMost(file: FileHandle, limit: number, chunkBytes = CHUNK_BYTES): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let left = limit;
  while (left > 0) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(left, chunkBytes)));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  const [first, ...others] = chunks;
  return others.length === 0 ? (first ?? new Uint8Array(0)) : new Uint8Array(Buffer.concat(chunks));
}
