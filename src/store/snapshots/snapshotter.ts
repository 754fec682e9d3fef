import { createViews, pastViews, type Views, type ViewSet } from '../../../projections/views.js';
import type { Page } from '../../../projections/projection.js';
import { decodeViews, encodeViews, openViews } from '../../../projections/views-codec.js';
import type { SnapshotFolder } from './snapshot-folder.js';
import { throwIfAborted } from '../../errors.js';
import { Mutex } from '../files/files.js';
import type { Log } from '../../log/log.js';

/** A snapshot that was written. */
export interface WrittenSnapshot {
  /** The last event in it. */
  readonly seq: number;
  /** Size of its file; 0 if the log is empty, so that none was written. */
  readonly bytes: number;
}

interface SnapshotterOptions {
  readonly snapshots: SnapshotFolder;
  /** Live views, folded up to `seq`. */
  readonly viewSet: ViewSet;
  readonly seq: number;
  /** Events between background snapshots; 0 for none. */
  readonly every: number;
  /** Receives failures to write a snapshot. */
  readonly onNotice: (notice: string) => void;
}

/** Images, references and layers of a small store: a snapshot takes no longer than its syncs. */
const SMALL_STORE_ENTRIES = 1_000;
/** A larger store is written at close only after one new event per this many entries. */
const ENTRIES_PER_EVENT = 10;

/** Writes snapshots of live views, one at a time: in the background, at close and on request. */
export class Snapshotter {
  readonly #options: SnapshotterOptions;
  /** The last durable, folded event. */
  #seq: number;
  /** The last event at which one was started, successfully or not. */
  #begun: number;
  readonly #writing = new Mutex();
  /** Requests not yet done. */
  #waiting = 0;
  #writeBeside: () => Promise<void> = async () => undefined;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#seq = options.seq;
    this.#begun = options.seq;
    options.viewSet.folded$.subscribe((page) => this.#noteFolded(page.at(-1)?.seq));
  }

  /** Registers what to write along with every snapshot. It must not reject. */
  alsoWrite(writeBeside: () => Promise<void>): void {
    this.#writeBeside = writeBeside;
  }

  /** Writes a snapshot of the current views, after those requested before. */
  write(): Promise<WrittenSnapshot> {
    return this.#queue(() => this.#write());
  }

  /** Removes all snapshots, then writes one of the current views. */
  renew(): Promise<WrittenSnapshot> {
    return this.#queue(async () => {
      await this.#options.snapshots.removeAll();
      return this.#write();
    });
  }

  #queue(write: () => Promise<WrittenSnapshot>): Promise<WrittenSnapshot> {
    this.#waiting++;
    return this.#writing.run(write).finally(() => this.#waiting--);
  }

  settled(): Promise<void> {
    return this.#writing.settled();
  }

  /** Writes a snapshot for the next open if worth its bytes. Failures become notices. */
  async writeLast(): Promise<void> {
    await this.settled();
    const tail = this.#seq - this.#options.snapshots.newest;
    const entries = countEntries(this.#options.viewSet.views);
    if (tail > 0 && (entries <= SMALL_STORE_ENTRIES || tail * ENTRIES_PER_EVENT >= entries)) await this.#tryWrite();
  }

  #noteFolded(seq: number | undefined): void {
    if (seq === undefined) return;
    this.#seq = seq;
    const { every } = this.#options;
    if (every > 0 && seq - this.#begun >= every && this.#waiting === 0) void this.#tryWrite();
  }

  async #tryWrite(): Promise<void> {
    try {
      await this.write();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.onNotice(`no snapshot was written: ${why}`);
    }
  }

  async #write(): Promise<WrittenSnapshot> {
    const seq = this.#seq;
    this.#begun = seq;
    if (seq === 0) return { seq, bytes: 0 };
    const { snapshots, viewSet } = this.#options;
    const bytes = await snapshots.writeViews(seq, encodeViews(viewSet.views));
    await this.#writeBeside();
    return { seq, bytes };
  }
}

function countEntries({ images, references, layers }: Views): number {
  return images.size + references.byName.size + layers.byChain.size;
}

/** What past views are built from. */
interface ViewSources {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
}

/** Events a read of the past buffers: twice the distance between two snapshots. */
const MOST_KEPT_EVENTS = 100_000;

/**
 * Returns the views as of `seq`, 0 to the head: the nearest snapshot plus the events after it. The
 * caller owns them and may fold on. `onFolded` is called with the events folded since the snapshot.
 * @throws {StoreError} LOG_CORRUPT for an event that is damaged or missing, ABORTED
 */
export async function viewsAt(
  { log, snapshots }: ViewSources,
  seq: number,
  signal?: AbortSignal,
  onFolded?: (events: number, total: number) => void,
): Promise<ViewSet> {
  throwIfAborted(signal);
  const snapshot = await snapshots.nearest(seq, decodeViews);
  throwIfAborted(signal);
  const viewSet = createViews(snapshot?.views);
  const from = (snapshot?.seq ?? 0) + 1;
  for await (const page of log.pages({ from, to: seq, signal })) {
    viewSet.fold(page);
    onFolded?.((page.at(-1)?.seq ?? from) - from + 1, seq - from + 1);
  }
  return viewSet;
}

/**
 * As `viewsAt`, for reading: builds each view on first use, from events read and checked before
 * this resolves.
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
