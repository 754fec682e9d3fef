import { createViews, type ViewSet } from '../../../projections/views.js';
import { throwIfAborted } from '../../abort.js';
import type { Log } from '../../log/log.js';
import type { SnapshotFolder } from './snapshot-folder.js';

/** What views of any moment are made from. */
export interface ViewSources {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
}

/**
 * Returns the views as they were when the log ended at `seq`, 0 to the head: those of the nearest snapshot, with the events after
 * it folded in. They are the caller's own: nothing folds later events into them.
 * @throws {StoreError} LOG_CORRUPT for an event that is damaged or missing, ABORTED
 */
export async function viewsAt({ log, snapshots }: ViewSources, seq: number, signal?: AbortSignal): Promise<ViewSet> {
  throwIfAborted(signal);
  const snapshot = await snapshots.nearest(seq);
  throwIfAborted(signal);
  const viewSet = createViews(snapshot?.views);
  const from = (snapshot?.seq ?? 0) + 1;
  for await (const page of log.pages({ from, to: seq, signal })) viewSet.fold(page);
  return viewSet;
}
