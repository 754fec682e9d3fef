import { equalHashes, type TreeHead, treeRoot } from './merkle.js';
import type { Log } from './log.js';

/**
 * Resolves with whether the log begins with the tree `earlier`: false when it has another root at that size, or fewer
 * events. Reads a tile of each level.
 * @throws {StoreError} LOG_CORRUPT when the tree of the log is damaged
 */
export async function beginsWith(log: Log, earlier: TreeHead): Promise<boolean> {
  const { seq, root } = log.head;
  if (earlier.size > seq) return false;
  return equalHashes(earlier.root, earlier.size === seq ? root : await treeRoot(log, earlier.size));
}
