import { type Digest, digestHex, isDigest } from '../../model/digest.js';

/*
 * Where things stand below the directory of a backup. `checkpoint` and `tile/` are those of C2SP tlog-tiles; the sidecar
 * has the name that it has in a store.
 */

/** The text that commits to the events of the backup: without it there is no backup yet. */
export const CHECKPOINT_PATH = 'checkpoint';
/** What holds tiles and bundles of entries. */
export const TILE_FOLDER = 'tile';
/** What holds image configs, manifests and indexes. */
export const CONTENT_FOLDER = 'content/sha256';
/** What holds layer files. */
export const BLOB_FOLDER = 'blobs/sha256';
/** What holds files that are being written, while a backup runs; one that was killed leaves it. */
export const STAGING_FOLDER = '.staging';

/** Returns the path of content in a backup. */
export function contentPath(digest: Digest): string {
  return `${CONTENT_FOLDER}/${digestHex(digest)}`;
}

/** Returns the path of a layer file in a backup. */
export function blobPath(digest: Digest): string {
  return `${BLOB_FOLDER}/${digestHex(digest)}`;
}

/** Returns the digest that the name of a file below CONTENT_FOLDER or BLOB_FOLDER stands for; undefined for a name that none has. */
export function digestOfName(name: string): Digest | undefined {
  const digest = `sha256:${name}`;
  return isDigest(digest) ? digest : undefined;
}
