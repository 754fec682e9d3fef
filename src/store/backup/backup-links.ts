import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { SIDECAR_FILE } from '../open/sidecar.js';
import { BLOB_FOLDER, CONTENT_FOLDER, STAGING_FOLDER, TILE_FOLDER } from './backup-layout.js';

/** What stands in a backup whatever store it is of, from the top down. */
const FIXED_PLACES = [
  SIDECAR_FILE,
  STAGING_FOLDER,
  TILE_FOLDER,
  dirname(CONTENT_FOLDER),
  CONTENT_FOLDER,
  dirname(BLOB_FOLDER),
  BLOB_FOLDER,
] as const;

/**
 * Resolves with the path of each folder of a backup, and of its sidecar, that is a link. What it leads to is not part of the backup: it may be
 * gone when the backup is needed, and files of somebody else may be removed through it.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function linksIn(directory: string): Promise<string[]> {
  const links: string[] = [];
  for (const place of FIXED_PLACES) if (await isLink(join(directory, place))) links.push(place);
  return links;
}

/** Whether `path` is a link, dangling or not. @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE */
export async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return false;
    throw ioFailure(`look at ${path}`, error);
  }
}
