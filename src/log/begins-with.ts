import { type TreeHead, treeRoot } from './merkle.js';
import { equalBytes } from '../model/bytes.js';
import type { Log } from './log.js';

/**
 * Whether the log extends the tree `earlier`: false when it has another root at that size, or fewer
 * events. Reads one tile per level.
 * @throws {StoreError} LOG_CORRUPT when the log's tree is corrupt
 */
export async function beginsWith(log: Log, earlier: TreeHead): Promise<boolean> {
  const { seq, root } = log.head;
  if (earlier.size > seq) return false;
  return equalBytes(earlier.root, earlier.size === seq ? root : await treeRoot(log, earlier.size));
}
