import { checkBlobs } from './blob-check.js';
import { checkpointClaims } from './checkpoint-claims.js';
import { checkDamagedLogs } from './content-check.js';
import { snapshotClaims } from './snapshot-claims.js';
import type { StoreSourceParts } from './store-source.js';
import type { VerifyOptions } from './verify-options.js';
import type { Reading, StoredSnapshot, VerifySource } from './verify-source.js';
import type { Violation } from './violation.js';

/** Resolves with what is wrong with a store by itself, beside a log that cannot be opened: its checkpoint, snapshots and blobs. */
export async function verifyWithoutLog(
  { identity, checkpoint, files, snapshots }: Omit<StoreSourceParts, 'rows'>,
  options: VerifyOptions,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const reading: Reading = { report: (violation) => violations.push(violation), signal: options.signal };
  const source: VerifySource = {
    identity,
    checkpoint,
    // As long as any: nobody knows what is lost.
    size: Number.MAX_SAFE_INTEGER,
    records: nothing,
    hashes: nothing,
    contents: nothing,
    blobs: () => files.blobs(),
    async *snapshots(): AsyncGenerator<StoredSnapshot> {
      yield* snapshots;
    },
  };
  await checkpointClaims(source, options, reading.report);
  checkDamagedLogs(files.damagedLogs(), 0, { ...reading, onNotice: options.onNotice });
  if (options.fast === true) return violations;
  await snapshotClaims(source, reading, (done) => options.onProgress?.({ what: 'snapshots', done, total: undefined }));
  await checkBlobs(source, { byDigest: new Map(), ofImage: new Map() }, reading, {
    isWhole: false,
    onLooked: (done) => options.onProgress?.({ what: 'blobs', done, total: undefined }),
  });
  return violations;
}

async function* nothing(): AsyncGenerator<never> {
  // A log that cannot be opened gives nothing.
}
