import { createHash } from 'node:crypto';
import type { ErasuresView } from '../../../projections/content.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { factsOf } from '../../model/event-table.js';
import type { Reading, Report, StoredBlob, VerifySource } from './verify-source.js';
import type { BlobsView } from '../../../projections/layers.js';
import { isStoreError, throwIfAborted, thrownText } from '../../errors.js';
import { isExhaustion } from '../files/files.js';
import { MAX_LAYER_BYTES } from '../../limits.js';

/** Content that events name and that was not erased since. */
export class NamedContent {
  readonly #named = new Set<Digest>();
  readonly #erased = new Set<Digest>();

  add(event: StoredEvent): void {
    const { content, erases } = factsOf(event);
    const digest = content(event)?.digest;
    if (digest !== undefined) {
      this.#named.add(digest);
      if (this.#erased.size > 0) this.#erased.delete(digest);
    }
    const erased = erases(event);
    // Layers are erased too, and are no content.
    if (erased !== undefined && this.#named.delete(erased)) this.#erased.add(erased);
  }

  /** Amount of content that was erased and did not come back. */
  get erasedCount(): number {
    return this.#erased.size;
  }

  /** Amount of named content that was not taken. */
  get leftCount(): number {
    return this.#named.size;
  }

  has(digest: Digest): boolean {
    return this.#named.has(digest);
  }

  /** Removes `digest`; false when no event named it. */
  take(digest: Digest): boolean {
    return this.#named.delete(digest);
  }

  /** Yields named content that was not taken. */
  left(): Iterable<Digest> {
    return this.#named;
  }
}

/** What a check of content or blobs needs besides the source. */
export interface Belief {
  /** False when an event is lost, which may have named or erased unaccounted content. */
  readonly isWhole: boolean;
  /** Called with the number checked so far. */
  readonly onLooked: (count: number) => void;
}

/** Checks that content matches its digest, that events name it, and that none is missing. */
export async function checkContent(
  source: VerifySource,
  { named, erasures }: { readonly named: NamedContent; readonly erasures: ErasuresView },
  reading: Reading,
  { isWhole, onLooked }: Belief,
): Promise<void> {
  const { report } = reading;
  let looked = 0;
  for await (const page of source.contents(reading, (digest) => named.has(digest))) {
    for (const { digest, bytes, place = `content ${digest}` } of page) {
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
    }
    looked += page.length;
    onLooked(looked);
  }
  for (const digest of named.left()) {
    const message = `the content ${digest} is missing, which events name`;
    report({ code: 'CONTENT_MISSING', place: `content ${digest}`, message, digest });
  }
}

/**
 * Reports what rebuilds set aside. Damaged logs: a violation if they may hold erased content, else a
 * notice. Checkpoints of lost events: a notice.
 */
export function checkSetAside(
  { damagedLogs = [], lostCheckpoints = [] }: Pick<VerifySource, 'damagedLogs' | 'lostCheckpoints'>,
  erasedCount: number,
  { report, onNotice }: { readonly report: Report; readonly onNotice?: ((notice: string) => void) | undefined },
): void {
  const remedy = 'remove the folder, or move it out of the store to keep it';
  for (const place of lostCheckpoints) {
    const what = 'proves events that were lost, and that a rebuild was asked to continue without';
    onNotice?.(`${place} ${what}: the log does not contain them`);
  }
  for (const place of damagedLogs) {
    const what = `${place} is a damaged log that a rebuild set aside`;
    if (erasedCount === 0) onNotice?.(`${what}: ${remedy}`);
    else {
      const message = `${what}, and may still contain erased content (${erasedCount}): ${remedy}`;
      report({ code: 'ERASED_KEPT', place, message });
    }
  }
}

/** Checks that all needed blobs exist with the right size and digest, and that no others do. */
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
    // Before reading any byte: hashing a sparse file of a terabyte takes an hour.
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

/** Hashes a blob; reports and returns undefined when it cannot be read. */
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
    if (isStoreError(error, 'ABORTED') || isExhaustion(error)) throw error;
    // A concurrent writer removed it after it was listed.
    if (isStoreError(error, 'BLOB_MISSING') && (await isInFlight(source, digest))) return undefined;
    const why = thrownText(error);
    report({ code: 'BLOB_WRONG', place, message: `the blob ${digest} cannot be read: ${why}`, digest });
    return undefined;
  }
}

async function isInFlight(source: VerifySource, digest: Digest): Promise<boolean> {
  return (await source.isInFlight?.(digest)) ?? false;
}
