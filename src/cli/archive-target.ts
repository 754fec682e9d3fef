import { randomBytes } from 'node:crypto';
import { constants, createWriteStream, type Stats } from 'node:fs';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { StoreError, throwIfAborted } from '../errors.js';

/** Polling interval while a pipe has no reader or is full. */
const PIPE_INTERVAL_MS = 1;

/** Content to write: to a file as a whole, or streamed to anything else. */
export interface FileContent {
  /** Writes to a new file, durable on return; a long write can be aborted by the signal. */
  readonly writeTo: (file: FileHandle) => Promise<unknown>;
  readonly stream: () => Readable;
}

/**
 * Writes `content` to `path` atomically: into a new file next to it, synced, then renamed over it.
 * Devices and pipes are written in place, a pipe once it has a reader. Symbolic links are followed.
 * @throws {StoreError} FILE_NOT_FOUND without a directory for it; IO_FAILED if `path` is one or not
 *   writable; ABORTED by `signal`
 */
export async function writeArchiveFile(content: FileContent, path: string, signal: AbortSignal): Promise<void> {
  try {
    throwIfAborted(signal);
    const target = await existingTarget(path);
    if (target.kind === 'directory') throw new StoreError('IO_FAILED', `cannot write ${path}: it is a directory`);
    if (target.kind === 'pipe') await writePipe(content, path, signal);
    else if (target.kind === 'device') await pipeline(content.stream(), createWriteStream(path), { signal });
    else await replaceFile(content, target.path);
  } catch (error) {
    throw isSystemError(error) ? failed(path, error) : error;
  }
}

interface Target {
  readonly kind: 'file' | 'directory' | 'pipe' | 'device';
  /** The resolved path, links followed. */
  readonly path: string;
}

async function existingTarget(path: string): Promise<Target> {
  try {
    const stats = await stat(path);
    return { kind: kindOf(stats), path: await realpath(path) };
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return { kind: 'file', path };
    throw error;
  }
}

function kindOf(stats: Stats): Target['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isFIFO() ? 'pipe' : 'device';
}

/** Writes to a pipe once it has a reader. A blocking open would hang the process. */
async function writePipe(content: FileContent, path: string, signal: AbortSignal): Promise<void> {
  const stream = content.stream();
  await using pipe = await whenReady('ENXIO', signal, () => open(path, constants.O_WRONLY | constants.O_NONBLOCK));
  for await (const chunk of stream.map((each: Uint8Array | string) => Buffer.from(each))) {
    for (let written = 0; written < chunk.length; ) {
      written += (await whenReady('EAGAIN', signal, () => pipe.write(chunk, written))).bytesWritten;
    }
  }
}

/** Retries `call` until it no longer fails with `code`: the pipe has no reader yet, or is full. */
async function whenReady<Result>(code: string, signal: AbortSignal, call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    throwIfAborted(signal);
    try {
      return await call();
    } catch (error) {
      if (!isSystemError(error) || error.code !== code) throw error;
    }
    await delay(PIPE_INTERVAL_MS);
  }
}

async function replaceFile({ writeTo }: FileContent, path: string): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`);
  const file = await open(partial, 'wx');
  try {
    await writeTo(file);
    await file.close();
    // A crash before the rename leaves the old file and a partial one; after it, the new file.
    await rename(partial, path);
  } catch (error) {
    await file.close();
    await unlink(partial);
    throw error;
  }
}

function failed(path: string, error: NodeJS.ErrnoException): StoreError {
  if (error.code === 'ENOENT') {
    const data = { path, hint: 'make its directory first' };
    return new StoreError('FILE_NOT_FOUND', `cannot write ${path}: its directory is not there`, { cause: error, data });
  }
  const code = error.code === 'ENOSPC' ? 'DISK_FULL' : 'IO_FAILED';
  // The rest of the message names the partial file, which means nothing to the user.
  const [why] = error.message.split(', ');
  return new StoreError(code, `cannot write ${path}: ${why}`, { cause: error, data: { path } });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
