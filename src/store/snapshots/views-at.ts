import {
  createViews,
  type PastStep,
  pastViews,
  type Views,
  type ViewSet,
  viewNames,
} from '../../../projections/views.js';
import type { Page } from '../../../projections/projection.js';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { decodeViews, openViews } from '../../../projections/views-codec.js';
import { throwIfAborted } from '../../errors.js';
import { MAX_KEPT_CHANGES_BYTES } from '../../limits.js';
import type { Log } from '../../log/log.js';
import { type ChangesStep, gaps, type Stretch } from './changes-file.js';
import type { SnapshotFolder } from './snapshot-folder.js';

/** What past views are built from. */
interface ViewSources {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
}

/** Called with the events folded since the snapshot. */
type OnFolded = (events: number, total: number) => void;

/** Events a read of the past buffers: twice the distance between two snapshots. */
const MOST_KEPT_EVENTS = 100_000;

/**
 * Returns the views as of `seq`, 0 to the head: the nearest snapshot, the changes after it, and the
 * events after those. The caller owns them and may fold on.
 * @throws {StoreError} LOG_CORRUPT for an event that is damaged or missing, ABORTED
 */
export async function viewsAt(
  sources: ViewSources,
  seq: number,
  signal?: AbortSignal,
  onFolded?: OnFolded,
): Promise<ViewSet> {
  for (;;) {
    throwIfAborted(signal);
    const snapshot = await sources.snapshots.nearest(seq, decodeViews);
    throwIfAborted(signal);
    const from = snapshot?.seq ?? 0;
    const viewSet = createViews(snapshot?.views);
    try {
      for await (const step of stepsTo(sources, { from, to: seq }, signal)) {
        if ('page' in step) viewSet.fold(step.page);
        else foldChanges(viewSet, step);
        onFolded?.(step.to - from, seq - from);
      }
      return viewSet;
    } catch (error) {
      if (!(error instanceof DamagedChanges)) throw error;
      // The views are of no moment: again, without the file.
      sources.snapshots.passOverChanges(error.file, error.message);
    }
  }
}

/** Changes whose checksum is right, and which cannot be folded. */
class DamagedChanges extends Error {
  readonly file: Stretch;

  constructor(file: Stretch, cause: SnapshotDamage) {
    super(cause.message, { cause });
    this.file = file;
  }
}

function foldChanges(viewSet: ViewSet, { changes, file }: ChangesStep & { readonly file: Stretch }): void {
  const { views } = viewSet;
  try {
    const folded = viewNames.map((name) => [name, changes.fold(name, views[name])] as const);
    viewSet.replace(Object.fromEntries(folded) as Views, viewNames);
  } catch (error) {
    throw error instanceof SnapshotDamage ? new DamagedChanges(file, error) : error;
  }
}

/**
 * As `viewsAt`, for reading: builds each view on first use, from events and changes read and
 * checked before this resolves.
 * @throws {StoreError} as `viewsAt`
 */
export async function pastViewsAt(
  sources: ViewSources,
  seq: number,
  signal?: AbortSignal,
  onFolded?: OnFolded,
): Promise<Views> {
  throwIfAborted(signal);
  const snapshot = await sources.snapshots.nearest(seq, openViews);
  throwIfAborted(signal);
  const way = { from: snapshot?.seq ?? 0, to: seq };
  const kept = await keptSteps(sources, way, signal, onFolded);
  if (kept === undefined) return (await viewsAt(sources, seq, signal, onFolded)).views;
  return pastViews(snapshot?.views, kept);
}

/** Resolves with what leads from one moment to the other; undefined when it is too much to keep. */
async function keptSteps(
  sources: ViewSources,
  way: Stretch,
  signal?: AbortSignal,
  onFolded?: OnFolded,
): Promise<PastStep[] | undefined> {
  if (countUncovered(await sources.snapshots.stretches(), way) > MOST_KEPT_EVENTS) return undefined;
  const kept: PastStep[] = [];
  let [events, bytes] = [0, 0];
  for await (const step of stepsTo(sources, way, signal)) {
    if ('page' in step) events += step.page.length;
    else bytes += step.bytes;
    // More than was expected: a file was bad.
    if (events > MOST_KEPT_EVENTS || bytes > MAX_KEPT_CHANGES_BYTES) return undefined;
    kept.push('page' in step ? step.page : step.changes);
    onFolded?.(step.to - way.from, way.to - way.from);
  }
  return kept;
}

function countUncovered(stretches: readonly Stretch[], { from, to }: Stretch): number {
  const lengths = gaps(stretches, to).map((gap) => gap.to - Math.max(gap.from, from));
  return lengths.reduce((sum, length) => sum + Math.max(0, length), 0);
}

type Step = (Stretch & { readonly page: Page }) | (ChangesStep & { readonly file: Stretch });

/** Yields what leads from one moment to the other: changes, and events where there are none. */
async function* stepsTo(sources: ViewSources, { from, to }: Stretch, signal?: AbortSignal): AsyncGenerator<Step> {
  let at = from;
  for (const file of await sources.snapshots.stretches()) {
    if (file.to <= at || file.from >= to) continue;
    for (const step of await sources.snapshots.readChanges(file)) {
      throwIfAborted(signal);
      if (step.from < at || step.to > to) continue;
      if (step.from > at) yield* pagesOf(sources.log, { from: at, to: step.from }, signal);
      yield { ...step, file };
      at = step.to;
    }
  }
  yield* pagesOf(sources.log, { from: at, to }, signal);
}

async function* pagesOf(log: Log, { from, to }: Stretch, signal?: AbortSignal): AsyncGenerator<Step> {
  if (from >= to) return;
  let seq = from;
  for await (const page of log.pages({ from: from + 1, to, signal })) {
    const end = page.at(-1)?.seq ?? seq;
    yield { page, from: seq, to: end };
    seq = end;
  }
}
