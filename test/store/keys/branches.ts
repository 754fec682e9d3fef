import type { Checkpoint } from '../../../src/log/checkpoint.js';
import { equalBytes } from '../../../src/model/bytes.js';
import { leafHash } from '../../../src/log/merkle.js';
import type { BeginsWith } from '../../../src/store/keys.js';
import { referenceRoot } from '../../log/merkle/reference-tree.js';
import { bytesOf } from '../../support/text-bytes.js';

/** The log that the branches are of. */
export const ORIGIN = 'example.com/log';

/** A log that has the same first leaves as others, and other leaves from `forkedAt` on. */
export interface Branch {
  readonly checkpoint: (size: number) => Checkpoint;
  /** What is asked of the log while it has `size` leaves. */
  readonly beginsWith: (size: number) => BeginsWith;
}

/** Returns the branch of this name. */
export function branchOf(name: string, forkedAt = 5): Branch {
  const root = (size: number): Uint8Array =>
    referenceRoot(
      Array.from({ length: size }, (_, at) => leafHash(bytesOf(at < forkedAt ? `${at}` : `${name} ${at}`))),
    );
  return {
    checkpoint: (size) => ({ origin: ORIGIN, size, root: root(size), extensions: [] }),
    beginsWith: (size) => async (earlier) => earlier.size <= size && equalBytes(earlier.root, root(earlier.size)),
  };
}
