import type { Digest } from '../../model/digest.js';
import type { EventStoreParts } from '../event-store-parts.js';
import { StoreFiles } from './store-files.js';
import { storeSource } from './store-source.js';
import { verifySource } from './verify.js';
import { checkVerifyOptions, type VerifyOptions } from './verify-options.js';
import { viewDigestsOf } from './view-digests.js';
import type { Violation } from './violation.js';

/** An open store, as far as its verification goes. */
export interface OpenStore extends Pick<EventStoreParts, 'directory' | 'sidecar' | 'log' | 'viewSet' | 'blobs'> {
  /** The last event that the views have folded. */
  readonly foldedSeq: () => number;
  /** Resolves when no row is being made anew. */
  readonly rebuilt: () => Promise<void>;
}

/** Resolves with everything that is wrong with an open store as it is at one moment, while its writers go on. */
export async function verifyOpenStore(store: OpenStore, options: VerifyOptions): Promise<readonly Violation[]> {
  checkVerifyOptions(options);
  const { directory, sidecar, log, viewSet, blobs } = store;
  const files = new StoreFiles(directory);
  // Before the rows: a checkpoint or a snapshot that is written from now on is of events that are not in them.
  const checkpoint = await files.checkpoint();
  const snapshots = await files.snapshots();
  const needsBlob = (digest: Digest): boolean => viewSet.views.blobs.byDigest.has(digest);
  await store.rebuilt();
  // From here to the first wait, nothing is folded: rows and views are of one moment.
  const rows = log.storedRows();
  const { hasSubjectIndex } = log;
  const liveViews = { seq: store.foldedSeq(), digests: viewDigestsOf(viewSet.views) };
  try {
    const source = await storeSource({
      identity: sidecar,
      rows,
      files,
      checkpoint,
      snapshots,
      hasSubjectIndex,
      liveViews,
      isInFlight: (digest) => blobs.isInOrder(digest, needsBlob),
    });
    return await verifySource(source, options);
  } finally {
    await rows.close();
  }
}
