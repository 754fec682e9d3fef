import { createViews, type ViewSet } from '../../../projections/views.js';
import type { Log } from '../../log/log.js';

/** What views of any moment are made from. */
export interface ViewSources {
  readonly log: Log;
}

/**
 * Returns the views as they were when the log ended at `seq`, 0 to the head. They are the caller's own: nothing folds later
 * events into them.
 * @throws {StoreError} LOG_CORRUPT for an event that is damaged or missing, ABORTED
 */
export async function viewsAt({ log }: ViewSources, seq: number, signal?: AbortSignal): Promise<ViewSet> {
  const viewSet = createViews();
  for await (const page of log.pages({ to: seq, signal })) viewSet.fold(page);
  return viewSet;
}
