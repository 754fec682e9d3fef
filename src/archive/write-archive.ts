import { StoreError } from '../errors.js';
import type { Digest } from '../model/digest.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from './tar-header.js';
import { abortable, type Watch } from './archive-files.js';
import { entrySize, planArchive, type PlannedEntry, type PlanOptions } from './plan-archive.js';
import type { SavedArchive } from './saved-documents.js';

/**
 * Options for writing an archive. Format `docker`: as Docker 25 writes, readable by every version;
 * `oci`: a pure OCI layout.
 */
export type WriteArchiveOptions = Watch & PlanOptions;

/** An archive ready to be written. */
export interface WrittenArchive {
  /** Exact byte count of `chunks`. */
  readonly size: number;
  /** Blobs that `chunks` opens. */
  readonly blobs: ReadonlySet<Digest>;
  /** The tar. Opens layer files one at a time; passes chunks through. `return()` stops it. */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

/**
 * Prepares an archive of `saved`, with its size known up front. Deterministic: the same images and
 * names give the same bytes (sorted, epoch times, owner 0).
 *
 * Layers are written as received, compressed or not; manifests are kept if all their layers are
 * present, so manifest digests survive. Both formats carry index.json. A multi-platform name is
 * written as its index; manifest.json (docker) lists it under one image. References by digest are
 * in index.json only.
 * @throws {StoreError} BLOB_MISSING at once if a layer is absent; the chunks fail with BLOB_CORRUPT
 *   if a layer has the wrong length, with ABORTED, and with what `openBlob` throws
 */
export function writeArchive(saved: SavedArchive, options: WriteArchiveOptions): WrittenArchive {
  const plan = planArchive(saved, options);
  const entries = plan.entries();
  const blobs = new Set(entries.flatMap((entry) => (entry.type === 'blob' ? [entry.blob.digest] : [])));
  return { size: plan.size(), blobs, chunks: abortable(packed(entries, saved), options) };
}

async function* packed(entries: readonly PlannedEntry[], saved: SavedArchive): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const size = entrySize(entry);
    const type = entry.type === 'directory' ? 'directory' : 'file';
    const header = formatTarHeader({ type, name: entry.name, size });
    const padding = tarPadding(size);
    if (entry.type === 'blob') {
      yield header;
      yield* checkedBlob(saved, entry.blob.digest, size);
      if (padding.length > 0) yield padding;
    } else {
      yield Buffer.concat(entry.type === 'bytes' ? [header, entry.bytes, padding] : [header]);
    }
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}

/** Streams a layer file; fails if its length differs from the tar header. */
async function* checkedBlob(saved: SavedArchive, digest: Digest, size: number): AsyncGenerator<Uint8Array> {
  let found = 0;
  for await (const chunk of saved.openBlob(digest)) {
    found += chunk.length;
    if (found > size) break;
    yield chunk;
  }
  if (found === size) return;
  const shown = found > size ? 'more' : `${found}`;
  throw new StoreError('BLOB_CORRUPT', `cannot save the layer file ${digest}: expected ${size} bytes, found ${shown}`, {
    data: { blob: digest, expected: size },
  });
}
