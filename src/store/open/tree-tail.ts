import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { Frontier } from '../../log/merkle/frontier.js';
import { equalHashes } from '../../log/merkle/node-hash.js';
import { hashInTile, TILE_WIDTH, tileOfTree } from '../../log/merkle/tile.js';
import { nodeSha256 } from '../files/node-hash.js';

/**
 * Returns when the tree of the log is what its records give from `size` on, where the tree up to `size` is known to be right. Rows of
 * the tree are not checked when they are read: a flipped bit in one that no checkpoint covers would stand in the next.
 * @throws {StoreError} LOG_CORRUPT when it is not, or an event is damaged
 */
export async function checkTreeTail(log: Log, size: number): Promise<void> {
  const { seq, root } = log.head;
  const frontier = await Frontier.read(log, size, nodeSha256);
  for (let index = Math.floor(size / TILE_WIDTH); frontier.size < seq; index++) {
    const tile = tileOfTree(0, index, seq);
    const leaves = await log.readTile(tile);
    for (let at = frontier.size % TILE_WIDTH; at < tile.width; at++) frontier.append(hashInTile(leaves, at));
  }
  if (equalHashes(frontier.root(), root)) return;
  throw new StoreError('LOG_CORRUPT', "the store is damaged: a row of the log's tree is not what the events give", {
    data: { from: size + 1, to: seq, remedy: 'rebuild' },
  });
}
