import { headsOf } from '../../projections/heads.js';
import type { Views } from '../../projections/views.js';
import type { Sidecar } from './open/sidecar.js';
import type { StoreStats } from './event-store.js';
import type { Head } from './store.js';

/** Returns the numbers of a store. Costs a walk over images and blobs. */
export function statsOf(views: Views, head: Head, sidecar: Sidecar): StoreStats {
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
    lastEventAt: head.seq === 0 ? undefined : head.time,
  };
}
