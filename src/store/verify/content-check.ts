import { createHash } from 'node:crypto';
import type { ErasuresView } from '../../../projections/content.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import type { Reading, Report, StoredBlob, VerifySource } from './verify-source.js';
import type { BlobsView } from '../../../projections/layers.js';
import { isStoreError, throwIfAborted } from '../../errors.js';
import { MAX_LAYER_BYTES } from '../../limits.js';

/** The content that events name, and that none erased since. */
export class NamedContent {
  readonly #named = new Set<Digest>();
  readonly #erased = new Set<Digest>();

  add(event: StoredEvent): void {
    switch (event.type) {
      case 'ImageCreated':
        this.#name(event.image);
        break;
      case 'ManifestAdded':
        this.#name(event.manifest.digest);
        break;
      case 'ReferenceSet':
        if (event.target !== undefined) this.#name(event.target.digest);
        break;
      case 'ContentErased':
        // Layers are erased too, and are no content.
        if (this.#named.delete(event.digest)) this.#erased.add(event.digest);
        break;
      default:
    }
  }

  /** How much content was erased and did not come again. */
  get erasedCount(): number {
    return this.#erased.size;
  }

  has(digest: Digest): boolean {
    return this.#named.has(digest);
  }

  /** Takes `digest` away; false when no event named it. */
  take(digest: Digest): boolean {
    return this.#named.delete(digest);
  }

  /** Gives what was named and not taken. */
  left(): Iterable<Digest> {
    return this.#named;
  }

  #name(digest: Digest): void {
    this.#named.add(digest);
    this.#erased.delete(digest);
  }
}

/** What a look over content or blobs is told beside the source. */
export interface Belief {
  /** False when an event is lost: it may have named or erased what nothing else speaks of. */
  readonly isWhole: boolean;
  /** Called with how many were looked at. */
  readonly onLooked: (count: number) => void;
}

/** Checks that all content has the digest of its name, that events name it, and that what they name is there. */
export async function checkContent(
  source: VerifySource,
  { named, erasures }: { readonly named: NamedContent; readonly erasures: ErasuresView },
  reading: Reading,
  { isWhole, onLooked }: Belief,
): Promise<void> {
  const { report } = reading;
  let looked = 0;
  for await (const { digest, bytes, place } of source.contents(reading, (digest) => named.has(digest))) {
    const found = digestOf(bytes);
    if (found !== digest) {
      const message = `the content ${digest} is not what was written: its bytes have another digest`;
      report({ code: 'CONTENT_WRONG', place, message, digest, expected: digest, found });
    }
    const isNamed = named.take(digest);
    if (erasures.has(digest)) {
      const message = `the content ${digest} is there, although an event says that it was erased`;
      report({ code: 'CONTENT_NOT_ERASED', place, message, seq: erasures.get(digest)?.seq, digest });
    } else if (!isNamed && isWhole) {
      report({ code: 'CONTENT_UNNAMED', place, message: `no event ever named the content ${digest}`, digest });
    }
    onLooked(++looked);
  }
  for (const digest of named.left()) {
    const message = `the content ${digest} is missing, which events name`;
    report({ code: 'CONTENT_MISSING', place: `content ${digest}`, message, digest });
  }
}

/**
 * Reports damaged logs that rebuilds put aside: as a violation when content was erased that may be
 * in them, and else as a notice.
 */
export function checkDamagedLogs(
  damagedLogs: readonly string[],
  erasedCount: number,
  { report, onNotice }: { readonly report: Report; readonly onNotice?: ((notice: string) => void) | undefined },
): void {
  const remedy = 'remove the folder, or move it out of the store to keep it';
  for (const place of damagedLogs) {
    const what = `${place} is a damaged log that a rebuild put aside`;
    if (erasedCount === 0) onNotice?.(`${what}: ${remedy}`);
    else {
      const message = `${what}, and may still hold content that was erased (${erasedCount}): ${remedy}`;
      report({ code: 'ERASED_KEPT', place, message });
    }
  }
}

/** Checks that all blobs that are needed are there, that each has the size and digest it must, and that each is needed. */
export async function checkBlobs(
  source: VerifySource,
  { byDigest }: BlobsView,
  reading: Reading,
  { isWhole, onLooked }: Belief,
): Promise<void> {
  const { report } = reading;
  const missing = new Set(byDigest.keys());
  let looked = 0;
  for await (const blob of source.blobs(reading, (digest) => byDigest.has(digest))) {
    const { digest, size, place } = blob;
    missing.delete(digest);
    const expected = byDigest.get(digest)?.size;
    if (expected === undefined && isWhole && !(await isInFlight(source, digest))) {
      report({ code: 'BLOB_UNNEEDED', place, message: `nothing in the store needs the blob ${digest}`, digest });
    }
    // Compared before any byte is read: hashing a sparse file of a terabyte takes an hour.
    if (expected === undefined ? size > MAX_LAYER_BYTES : size !== expected) {
      const what = expected === undefined ? `a layer has ${MAX_LAYER_BYTES} at most` : `its event says ${expected}`;
      const message = `the blob ${digest} has ${size} bytes, and ${what}`;
      report({ code: 'BLOB_SIZE_WRONG', place, message, digest, expected: expected ?? MAX_LAYER_BYTES, found: size });
      continue;
    }
    const found = await digestOfBlob(source, blob, reading, (bytes) => onLooked(looked + bytes));
    looked += size;
    if (found === undefined || found === digest) continue;
    const message = `the blob ${digest} is not what was written: its ${size} bytes have another digest`;
    report({ code: 'BLOB_WRONG', place, message, digest, expected: digest, found });
  }
  for (const digest of missing) {
    if (await isInFlight(source, digest)) continue;
    const message = `the blob ${digest} is missing, which the store needs`;
    report({ code: 'BLOB_MISSING', place: `blob ${digest}`, message, digest });
  }
}

/** Resolves with the digest of a blob's bytes; undefined when they cannot be read, which is said. */
async function digestOfBlob(
  source: VerifySource,
  { digest, size, place, read }: StoredBlob,
  { report, signal }: Reading,
  onBytes: (bytes: number) => void,
): Promise<Digest | undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of read()) {
      throwIfAborted(signal);
      hash.update(chunk);
      bytes += chunk.length;
      // A file that grows while it is read would never end.
      if (bytes > size) break;
      onBytes(bytes);
    }
    return digestFromHash(hash.digest());
  } catch (error) {
    if (isStoreError(error, 'ABORTED')) throw error;
    // Removed since it was listed, by a writer that went on.
    if (isStoreError(error, 'BLOB_MISSING') && (await isInFlight(source, digest))) return undefined;
    const why = error instanceof Error ? error.message : String(error);
    report({ code: 'BLOB_WRONG', place, message: `the blob ${digest} cannot be read: ${why}`, digest });
    return undefined;
  }
}

async function isInFlight(source: VerifySource, digest: Digest): Promise<boolean> {
  return (await source.isInFlight?.(digest)) ?? false;
}
