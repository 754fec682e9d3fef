import { headsOf } from '../../projections/heads.js';
import type { StoreStats } from './event-store.js';
import type { EventStoreParts } from './event-store-parts.js';
import { damagedLogs } from './rebuild/log-folders.js';
import type { Head } from './store.js';

/**
 * Returns the numbers of a store. Costs a walk over images and blobs.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export function statsOf({ directory, viewSet: { views }, sidecar }: EventStoreParts, head: Head): StoreStats {
  let blobBytes = 0;
  for (const { size } of views.blobs.byDigest.values()) blobBytes += size;
  return {
    events: head.seq,
    images: views.images.size,
    heads: headsOf(views.images).size,
    references: views.references.byName.size,
    layers: views.layers.byChain.size,
    blobs: views.blobs.byDigest.size,
    blobBytes,
    storeId: sidecar.storeId,
    formatVersion: sidecar.version,
    createdAt: Date.parse(sidecar.created),
    damagedLogs: damagedLogs(directory),
    lastEventAt: head.seq === 0 ? undefined : head.time,
  };
}
