import type { Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { formatTarHeader, isTarName, TAR_BLOCK_BYTES, tarPadding } from '../../archive/tar-header.js';
import { StoreError } from '../../errors.js';
import { MAX_ARCHIVE_ENTRIES } from '../../limits.js';
import { openRegularFile } from '../files/files.js';
import { bufferPair, readAhead } from '../files/read-ahead.js';

/** A regular file of a directory, by its path in it with `/`. */
interface DirectoryFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

/**
 * Returns an unpacked archive as a tar: an OCI image layout in a directory, or the files of a
 * `docker save`. Links count if they lead to a file in the directory. What no name of an archive
 * can be (over 100 bytes, not ASCII) is left out, since nothing refers to it.
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED for more than MAX_ARCHIVE_ENTRIES files; the bytes
 *   throw ARCHIVE_TRUNCATED if a file changes its size meanwhile
 */
export async function directorySource(
  directory: string,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly total: number }> {
  const files: DirectoryFile[] = [];
  const root = await realpath(directory);
  for await (const file of filesIn(root)) {
    files.push(file);
    if (files.length <= MAX_ARCHIVE_ENTRIES) continue;
    throw new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read ${directory}: expected at most ${MAX_ARCHIVE_ENTRIES} files, found more`,
      { data: { path: directory, limit: MAX_ARCHIVE_ENTRIES } },
    );
  }
  const size = (file: DirectoryFile): number => TAR_BLOCK_BYTES + file.size + tarPadding(file.size).length;
  return { bytes: tarOf(files), total: files.reduce((sum, file) => sum + size(file), 2 * TAR_BLOCK_BYTES) };
}

async function* filesIn(root: string): AsyncGenerator<DirectoryFile> {
  const names = await readdir(root, { recursive: true });
  for (const name of names.sort()) {
    const entry = name.split(sep).join('/');
    const facts = isTarName(entry) ? await factsInside(root, join(root, name)) : undefined;
    if (facts?.isFile()) yield { name: entry, path: join(root, name), size: facts.size };
  }
}

/** Undefined for a link that leads nowhere or out of `root`. */
async function factsInside(root: string, path: string): Promise<Stats | undefined> {
  const real = await realpath(path).catch(() => undefined);
  return real?.startsWith(`${root}${sep}`) ? stat(real) : undefined;
}

async function* tarOf(files: readonly DirectoryFile[]): AsyncGenerator<Uint8Array> {
  const buffers = bufferPair();
  for (const { name, path, size } of files) {
    yield formatTarHeader({ type: 'file', name, size });
    let left = size;
    for await (const chunk of readAhead(await openRegularFile(path, { links: 'followed' }), buffers)) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0) {
      const message = `cannot read ${path}: expected ${size} bytes, found another size: it changed meanwhile`;
      throw new StoreError('ARCHIVE_TRUNCATED', message, { data: { path, expected: size } });
    }
    yield tarPadding(size);
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}
