import type { ChainId, DiffId } from '../../model/digest.js';
import { createChainId } from '../../model/rootfs.js';
import { nodeSha256 } from '../files/node-hash.js';

/** Returns the chain of the layer `diffId` on top of `parent` (OCI image spec, config.md, Layer ChainID). */
export function chainOnTop(parent: ChainId | undefined, diffId: DiffId): ChainId {
  // The chain of one layer is its diff id, so a parent chain can stand where the first diff id would.
  const below: string | undefined = parent;
  return createChainId(below === undefined ? [diffId] : [below as DiffId, diffId], nodeSha256) as ChainId;
}
