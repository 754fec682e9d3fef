import { throwIfAborted } from '../abort.js';
import { StoreError } from '../errors.js';
import type { Head } from './log.js';
import type { LogSource, WriteBatch } from './log-source.js';
import type { CompletedHash } from './merkle/frontier.js';
import { equalHashes } from './merkle/node-hash.js';
import { growTree, hashesAboveLeaves, isTreeKey, putTreeRows, ROWS_AT_A_TIME, TREE_ROWS } from './tree-rows.js';

/**
 * Writes every row of the tree of a log that is in use, and removes those that are none of it; throws what `write` threw. Each row is
 * replaced by what it should be, so that none is ever missing, and a crash in between leaves nothing worse than it was.
 * @throws {StoreError} LOG_CORRUPT when an event is damaged or missing, or the events do not give the root of `head`: nothing was written
 *   then; ABORTED
 */
export async function renewTreeRows(
  source: LogSource,
  { seq, root }: Head,
  { write, signal }: { readonly write: WriteBatch; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const hashes: CompletedHash[] = [];
  const tree = await growTree(source, seq, (completed) => {
    throwIfAborted(signal);
    for (const hash of completed) hashes.push(hash);
  });
  if (!equalHashes(tree.root(), root)) {
    const message = `the events up to seq ${seq} are not those that were appended: their tree has another root`;
    throw new StoreError('LOG_CORRUPT', message, { data: { seq } });
  }
  for (let at = 0; at < hashes.length; at += ROWS_AT_A_TIME) {
    const batch = source.database.batch();
    putTreeRows(batch, hashes.slice(at, at + ROWS_AT_A_TIME));
    await write(batch);
  }
  await removeStrays(source, seq, write);
}

/** Removes rows that stand between those of the tree of `size` events, all of which are there. */
async function removeStrays({ database }: LogSource, size: number, write: WriteBatch): Promise<void> {
  const expected = hashesAboveLeaves(size);
  let next = expected.next();
  const batch = database.batch();
  for await (const key of database.keys(TREE_ROWS)) {
    if (next.done !== true && isTreeKey(key, next.value)) next = expected.next();
    else batch.del(key);
  }
  if (batch.length > 0) await write(batch);
  else await batch.close();
}
