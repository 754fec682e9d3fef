import { createHash } from 'node:crypto';
import type { BlobsView } from '../../../projections/blobs.js';
import { throwIfAborted } from '../../abort.js';
import { isStoreError } from '../../errors.js';
import { MAX_LAYER_BYTES } from '../../limits.js';
import { type Digest, digestFromHash } from '../../model/digest.js';
import type { Belief } from './content-check.js';
import type { Reading, StoredBlob, VerifySource } from './verify-source.js';

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
