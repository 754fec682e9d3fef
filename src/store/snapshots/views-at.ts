import { pastViews } from '../../../projections/past-views.js';
import type { Page } from '../../../projections/live-view.js';
import { createViews, type ViewSet, type Views } from '../../../projections/views.js';
import { decodeViews, openViews } from '../../../projections/views-codec.js';
import { throwIfAborted } from '../../abort.js';
import type { Log } from '../../log/log.js';
import type { SnapshotFolder } from './snapshot-folder.js';

/** What views of any moment are made from. */
export interface ViewSources {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
}

/** Events that a look into the past keeps until its views are asked for: twice what lies between two snapshots. */
const MOST_KEPT_EVENTS = 100_000;

/**
 * Returns the views as they were when the log ended at `seq`, 0 to the head: those of the nearest snapshot, with the events after
 * it folded in. They are the caller's own, to be folded on.
 * @throws {StoreError} LOG_CORRUPT for an event that is damaged or missing, ABORTED
 */
export async function viewsAt({ log, snapshots }: ViewSources, seq: number, signal?: AbortSignal): Promise<ViewSet> {
  throwIfAborted(signal);
  const snapshot = await snapshots.nearest(seq, decodeViews);
  throwIfAborted(signal);
  const viewSet = createViews(snapshot?.views);
  const from = (snapshot?.seq ?? 0) + 1;
  for await (const page of log.pages({ from, to: seq, signal })) viewSet.fold(page);
  return viewSet;
}

/**
 * Returns the views as `viewsAt` does, for reading: each is made when it is first asked for, of events that were read and
 * checked before this resolves.
 * @throws {StoreError} as `viewsAt`
 */
export async function pastViewsAt(sources: ViewSources, seq: number, signal?: AbortSignal): Promise<Views> {
  throwIfAborted(signal);
  const { log, snapshots } = sources;
  const snapshot = await snapshots.nearest(seq, openViews);
  const from = (snapshot?.seq ?? 0) + 1;
  if (seq - from >= MOST_KEPT_EVENTS) return (await viewsAt(sources, seq, signal)).views;
  throwIfAborted(signal);
  const pages: Page[] = [];
  for await (const page of log.pages({ from, to: seq, signal })) pages.push(page);
  return pastViews(snapshot?.views, pages);
}
