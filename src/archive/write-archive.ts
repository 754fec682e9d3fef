import { StoreError } from '../errors.js';
import type { Digest } from '../model/digest.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../tar/tar-header.js';
import { abortable, type Watch } from './archive-files.js';
import { type ArchiveFormat, entrySize, planArchive, type PlannedEntry, type SavedArchive } from './plan-archive.js';

/** How to write an archive. */
export interface WriteArchiveOptions extends Watch {
  /** `docker` is what Docker 25 writes and every version reads; `oci` is a pure OCI image layout. */
  readonly format: ArchiveFormat;
}

/** An archive about to be written. */
export interface WrittenArchive {
  /** Bytes that `chunks` give, exactly. */
  readonly size: number;
  /**
   * The tar. Layer files are opened one at a time, as they are read, and their chunks are handed on as `openBlob` gives them.
   * Return from it to stop early.
   */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

/**
 * Returns an archive of `saved`, its size known beforehand. The same images and names give the same bytes: sorted, times
 * at the epoch, owner 0.
 *
 * Layers are written as they were received, compressed or not, and manifests as they came where their layers are all
 * there, so that manifest digests survive; both formats carry index.json. A name of several platforms is written as its
 * index; manifest.json of the docker format lists it at one image. References by digest are in index.json only.
 *
 * @throws {StoreError} BLOB_MISSING at once when a layer is not there; the chunks fail with BLOB_CORRUPT when one is
 *   not as long as it must be, with ABORTED, and with what `openBlob` throws
 */
export function writeArchive(saved: SavedArchive, options: WriteArchiveOptions): WrittenArchive {
  const plan = planArchive(saved, options.format);
  return { size: plan.size(), chunks: abortable(packed(plan.entries(), saved), options) };
}

async function* packed(entries: readonly PlannedEntry[], saved: SavedArchive): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const size = entrySize(entry);
    const type = entry.type === 'directory' ? 'directory' : 'file';
    const header = await formatTarHeader({ type, name: entry.name, size });
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

/** Gives the bytes of a layer file, never more or fewer than the tar's header says. */
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
