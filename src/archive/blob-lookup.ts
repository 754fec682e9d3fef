import { StoreError } from '../errors.js';
import { type Digest, digestHex } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';
import type { ArchiveFile } from './archive-file.js';
import type { ArchiveTree } from './archive-tree.js';
import { normalizeEntryName } from './entry-name.js';

const BLOB_NAME = /^blobs\/sha256\/([0-9a-f]{64})$/;

/** Returns the name of a blob in an OCI image layout (image-layout.md, blobs). */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/**
 * Returns the blob that `descriptor` names, or undefined when the archive does not hold it.
 * @throws {StoreError} BLOB_MISMATCH when the file has another digest or size
 */
export function findBlob(tree: ArchiveTree, descriptor: Descriptor): ArchiveFile | undefined {
  const file = findFile(tree, blobName(descriptor.digest));
  if (file === undefined || file.size === descriptor.size) return file;
  throw mismatch(file.name, `${descriptor.size} bytes as its descriptor says`, `${file.size}`);
}

/**
 * Returns the file under `name`, links followed, or undefined; one whose name says its digest is checked against it.
 * @throws {StoreError} BLOB_MISMATCH, ARCHIVE_NAME_UNSAFE
 */
export function findFile(tree: ArchiveTree, name: string): ArchiveFile | undefined {
  const file = tree.file(name);
  const hex = BLOB_NAME.exec(normalizeEntryName(name))?.[1];
  if (file === undefined || hex === undefined || digestHex(file.digest) === hex) return file;
  throw mismatch(name, `the digest sha256:${hex}`, file.digest);
}

function mismatch(name: string, expected: string, found: string): StoreError {
  return new StoreError('BLOB_MISMATCH', `cannot use ${name} of the archive: expected ${expected}, found ${found}`, {
    data: { name, expected, found },
  });
}
