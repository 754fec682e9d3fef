import { MAX_PACK_BYTES } from '../../limits.js';
import type { Digest } from '../../model/digest.js';
import { bytesInPack, PACK_START_BYTES, type PackHead } from './pack.js';

/** A pack that is larger is not merged with others: what it holds is written once. */
const MERGED_PACK_BYTES = MAX_PACK_BYTES / 2;
/** Each pack is this much larger than all that are smaller, together: n runs leave log n packs. */
const GROWTH = 2;

/** A pack in a backup. */
export interface ExistingPack {
  readonly path: string;
  readonly head: PackHead;
}

/** What a run does about packs. */
export interface PackPlan {
  /** Packs that stay as they are. All others are removed when the new ones are durable. */
  readonly kept: readonly ExistingPack[];
  /** Content to be written in new packs. */
  readonly written: ReadonlySet<Digest>;
}

/**
 * Decides which packs stay and which content goes into new ones. `content` is all that belongs in
 * packs, with its sizes. A pack with anything else in it, such as erased content, does not stay.
 */
export function planPacks(content: ReadonlyMap<Digest, number>, packs: readonly ExistingPack[]): PackPlan {
  const left = new Map(content);
  const kept: ExistingPack[] = [];
  // A merged pack comes before those that a killed run merged it from.
  for (const pack of [...packs].sort(bySize).reverse()) {
    if (!isWithin(pack, left)) continue;
    for (const { digest } of pack.head.contents()) left.delete(digest);
    kept.unshift(pack);
  }
  if (left.size === 0) return { kept, written: new Set() };
  let bytes = PACK_START_BYTES;
  for (const size of left.values()) bytes += bytesInPack(size);
  const written = new Set(left.keys());
  let merged = 0;
  for (const { head } of kept) {
    if (head.fileBytes > Math.min(MERGED_PACK_BYTES, GROWTH * bytes)) break;
    for (const { digest } of head.contents()) written.add(digest);
    bytes += head.fileBytes;
    merged += 1;
  }
  return { kept: kept.slice(merged), written };
}

function bySize(one: ExistingPack, other: ExistingPack): number {
  return one.head.fileBytes - other.head.fileBytes || (one.path < other.path ? -1 : 1);
}

function isWithin({ head }: ExistingPack, content: ReadonlyMap<Digest, number>): boolean {
  for (const { digest, size } of head.contents()) if (content.get(digest) !== size) return false;
  return true;
}
