import { HASH_BYTES, type Sha256 } from '../model/digest.js';
import { formatPosition } from './consumer-position.js';
import { formatEventRow } from './event-row.js';
import { contentKey, eventKey, positionKey } from './keys.js';
import type { AppendBatch } from './log.js';
import type { Batch } from './log-source.js';
import type { Frontier } from './merkle/frontier.js';
import { removeContent } from './removed-content.js';
import { subjectRows } from './subject-index.js';
import { putTreeRows } from './tree-rows.js';

/** The log that a group is for. */
interface Target {
  /** The tree of the events before, which the leaves of the group are put into. */
  readonly tree: Frontier;
  readonly hash: Sha256;
  /** Whether the events before are in the subject index. Where they are not, those of the group must not be: the last would tell that all are. */
  readonly isIndexed: boolean;
}

/** Puts all rows of a group into `batch`. */
export function putGroup(
  batch: Batch,
  { expectedHead, entries, content, positions = new Map() }: AppendBatch,
  { tree, hash, isIndexed }: Target,
): void {
  for (const { event, record } of entries) {
    const row = formatEventRow(record, hash);
    batch.put(eventKey(event.seq), row);
    // A copy: the tree keeps some for long, and with a part of the row all of the buffer that it stands in.
    putTreeRows(batch, tree.append(row.slice(0, HASH_BYTES)));
  }
  const events = isIndexed ? entries.map(({ event }) => event) : [];
  for (const [key, value] of subjectRows(events, hash)) batch.put(key, value);
  for (const [digest, bytes] of content) {
    if (bytes === undefined) removeContent(batch, digest, expectedHead + 1);
    else batch.put(contentKey(digest), bytes);
  }
  for (const [name, position] of positions) {
    if (position === undefined) batch.del(positionKey(name));
    else batch.put(positionKey(name), formatPosition(position));
  }
}
