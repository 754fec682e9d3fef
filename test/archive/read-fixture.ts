import type { ArchiveContents } from '../../src/archive/archive-files.js';
import { readArchive, type ReadArchiveOptions } from '../../src/archive/read-archive.js';
import { inChunks } from '../support/build-tar.js';
import { MemoryStaging } from './memory-staging.js';

/** What was read, and the staging area it waits in. */
export interface ReadResult {
  readonly contents: ArchiveContents;
  readonly staging: MemoryStaging;
}

/** Reads an archive from memory. A failure must leave nothing staged; that is checked here for every test. */
export async function readBytes(
  bytes: Uint8Array,
  options: ReadArchiveOptions & { readonly chunkBytes?: number } = {},
): Promise<ReadResult> {
  const staging = new MemoryStaging();
  try {
    const contents = await readArchive(inChunks(bytes, options.chunkBytes), staging, options);
    return { contents, staging };
  } catch (error) {
    if (staging.left > 0) throw new Error(`${staging.left} staged files were left behind`, { cause: error });
    throw error;
  }
}
