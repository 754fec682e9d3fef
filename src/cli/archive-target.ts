import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { throwIfAborted } from '../abort.js';
import { StoreError } from '../errors.js';

/** What is to be written: as a whole to a file, or piece by piece to what is no file. */
export interface FileContent {
  /** Writes it to a new file, durable on return; ended by the signal where it takes long. */
  readonly writeTo: (file: FileHandle) => Promise<unknown>;
  readonly stream: () => Readable;
}

/**
 * Writes `content` to the file `path` so that the file is whole or as it was:
 * into a new file beside it, made durable, then renamed over it. A device or a pipe is
 * written as it is; a symbolic link keeps pointing where it points.
 * @throws {StoreError} IO_FAILED when `path` is a directory or cannot be written; ABORTED by `signal`
 */
export async function writeArchiveFile(content: FileContent, path: string, signal: AbortSignal): Promise<void> {
  try {
    throwIfAborted(signal);
    const target = await existingTarget(path);
    if (target.kind === 'directory') throw new StoreError('IO_FAILED', `cannot write ${path}: it is a directory`);
    if (target.kind === 'special') await pipeline(content.stream(), createWriteStream(path), { signal });
    else await replaceFile(content, target.path);
  } catch (error) {
    throw isSystemError(error) ? failed(path, error) : error;
  }
}

interface Target {
  readonly kind: 'file' | 'directory' | 'special';
  /** Where the file is or will be, links followed. */
  readonly path: string;
}

async function existingTarget(path: string): Promise<Target> {
  try {
    const stats = await stat(path);
    const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'special';
    return { kind, path: await realpath(path) };
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return { kind: 'file', path };
    throw error;
  }
}

async function replaceFile({ writeTo }: FileContent, path: string): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`);
  const file = await open(partial, 'wx');
  try {
    await writeTo(file);
    await file.close();
    // A crash before this line leaves the partial file and the old one; after it, the new one.
    await rename(partial, path);
  } catch (error) {
    await file.close();
    await unlink(partial);
    throw error;
  }
}

function failed(path: string, error: NodeJS.ErrnoException): StoreError {
  const code = error.code === 'ENOSPC' ? 'DISK_FULL' : 'IO_FAILED';
  // The rest of the message names the partial file, which nobody asked for.
  const [why] = error.message.split(', ');
  return new StoreError(code, `cannot write ${path}: ${why}`, { cause: error, data: { path } });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
