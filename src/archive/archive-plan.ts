import type { Digest } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';
import { TAR_BLOCK_BYTES } from '../tar/tar-header.js';
import { blobName } from './blob-lookup.js';

/** One entry of an archive to write. */
export type PlannedEntry =
  | { readonly type: 'directory'; readonly name: string }
  | { readonly type: 'bytes'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: 'blob'; readonly name: string; readonly blob: Descriptor };

/** What an archive will hold, before its first byte: each blob once, in an order that only depends on what it holds. */
export class ArchivePlan {
  readonly #blobs = new Map<string, PlannedEntry>();
  readonly #files: PlannedEntry[] = [];

  /** Plans a blob whose bytes are at hand. */
  addBytes(digest: Digest, bytes: Uint8Array): void {
    const name = blobName(digest);
    this.#blobs.set(name, { type: 'bytes', name, bytes });
  }

  /** Plans a blob that is opened when its turn comes. */
  addBlob(blob: Descriptor): void {
    const name = blobName(blob.digest);
    if (!this.#blobs.has(name)) this.#blobs.set(name, { type: 'blob', name, blob });
  }

  /** Plans a file at the root; those come after the blobs, in the order of the calls. */
  addFile(name: string, bytes: Uint8Array): void {
    this.#files.push({ type: 'bytes', name, bytes });
  }

  /** The entries in the order in which they are written: directories, blobs by digest, files. */
  entries(): readonly PlannedEntry[] {
    const blobs = [...this.#blobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const directories = ['blobs/', 'blobs/sha256/'].map((name) => ({ type: 'directory' as const, name }));
    return [...directories, ...blobs, ...this.#files];
  }

  /** Bytes of the whole tar: a header and padded data for each entry, two zero blocks at the end. */
  size(): number {
    return this.entries().reduce((sum, entry) => sum + TAR_BLOCK_BYTES + padded(entrySize(entry)), 2 * TAR_BLOCK_BYTES);
  }
}

/** Returns the bytes of data of `entry`. */
export function entrySize(entry: PlannedEntry): number {
  switch (entry.type) {
    case 'directory':
      return 0;
    case 'bytes':
      return entry.bytes.length;
    case 'blob':
      return entry.blob.size;
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}
