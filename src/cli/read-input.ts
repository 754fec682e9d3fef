import { open } from 'node:fs/promises';
import { StoreError } from '../errors.js';
import { ioFailure, systemCode } from '../store/files/durable-file.js';
import { readAtMost } from '../store/files/regular-file.js';
import type { CommandContext } from './context.js';

/**
 * Resolves with the bytes of the file `path`, `-` for the standard input; of one that is larger than `limitBytes` some more
 * than those, for a parser to refuse.
 * @throws {StoreError} FILE_NOT_FOUND, IO_FAILED
 */
export async function readInput({ io }: CommandContext, path: string, limitBytes: number): Promise<Uint8Array> {
  if (path === '-') return readStream(io.stdin, limitBytes);
  try {
    // It may be a pipe, as `<(…)` of a shell is.
    await using file = await open(path);
    return await readAtMost(file, limitBytes + 1);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw ioFailure(`read ${path}`, error);
    throw new StoreError('FILE_NOT_FOUND', `cannot read ${path}: there is no such file`, { data: { path } });
  }
}

async function readStream(stream: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > limitBytes) break;
  }
  return Buffer.concat(chunks);
}
