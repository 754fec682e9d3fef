import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { systemCode } from '../files/durable-file.js';

/** Bytes of a chunk that is read from an archive file: with 64 KiB a load takes half as long again. */
const READ_CHUNK_BYTES = 1024 * 1024;

/** An archive to be read once. */
export interface ArchiveSource {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Size in bytes, where it is known before. */
  readonly total: number | undefined;
}

/**
 * Returns the archive file at `path`. It is opened when its first byte is asked for, and closed with the iterator;
 * the bytes fail with the same errors.
 *
 * @throws {StoreError} FILE_NOT_FOUND when there is none, ARCHIVE_INVALID when it is a directory, IO_FAILED when it
 *   cannot be read
 */
export async function archiveFileSource(path: string): Promise<ArchiveSource> {
  const facts = await stat(path).catch((error: unknown) => {
    throw readFailure(path, error);
  });
  if (facts.isDirectory()) {
    throw new StoreError('ARCHIVE_INVALID', `cannot read ${path}: expected an archive file, found a directory`, {
      data: { path },
    });
  }
  return { bytes: readFile(path), total: facts.size };
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** The archive is the caller's file, so that it may not be read says nothing about the store. */
function readFailure(path: string, error: unknown): StoreError {
  const code = systemCode(error);
  const options = { cause: error, data: { path, systemCode: code } };
  if (code === 'ENOENT') return new StoreError('FILE_NOT_FOUND', `cannot read ${path}: no such file`, options);
  const found = error instanceof Error ? error.message : String(error);
  return new StoreError('IO_FAILED', `cannot read ${path}: ${found}`, options);
}
