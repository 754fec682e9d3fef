import { createViews, type Page, pastViews, type Views, type ViewSet } from '../../../projections/views.js';
import { decodeViews, encodeViews, openViews } from '../../../projections/views-codec.js';
import type { SnapshotFolder } from './snapshot-folder.js';
import { throwIfAborted } from '../../errors.js';
import type { Log } from '../../log/log.js';

/** A snapshot that was written. */
export interface WrittenSnapshot {
  /** The last event that it has. */
  readonly seq: number;
  /** Size of its file; 0 when there was no event, and so none was written. */
  readonly bytes: number;
}

interface SnapshotterOptions {
  readonly snapshots: SnapshotFolder;
  /** Views that have folded every event up to `seq`, and go on. */
  readonly viewSet: ViewSet;
  readonly seq: number;
  /** Events after which one is written in the background; 0 for none. */
  readonly every: number;
  /** Told of a snapshot that could not be written. */
  readonly onNotice: (notice: string) => void;
}

/** Images, references and layers up to which a store is small: writing a snapshot of it takes no longer than its syncs. */
const SMALL_STORE_ENTRIES = 1_000;
/** Entries for each of which a tenth of an event must have come, before a larger store is written again at close. */
const ENTRIES_PER_EVENT = 10;

/** Writes snapshots of views that live on: in the background, at close, and when it is asked to. One at a time. */
export class Snapshotter {
  readonly #options: SnapshotterOptions;
  /** The last event that is durable and folded. */
  #seq: number;
  /** The last event at which one was begun, well or not. */
  #begun: number;
  #running: Promise<unknown> = Promise.resolve();
  /** How many were asked for and are not done. */
  #waiting = 0;
  #writeBeside: () => Promise<void> = async () => undefined;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#seq = options.seq;
    this.#begun = options.seq;
    options.viewSet.folded$.subscribe((page) => this.#noteFolded(page.at(-1)?.seq));
  }

  /** From now on, whenever a snapshot is written, `writeBeside` is called for what else is to be written then. It must not reject. */
  alsoWrite(writeBeside: () => Promise<void>): void {
    this.#writeBeside = writeBeside;
  }

  /**
   * Writes a snapshot of the views as they are when those asked for before are done.
   * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
   */
  write(): Promise<WrittenSnapshot> {
    return this.#queue(() => this.#write());
  }

  /**
   * Removes every snapshot, and writes one of the views as they are then.
   * @throws {StoreError} as `write`
   */
  renew(): Promise<WrittenSnapshot> {
    return this.#queue(async () => {
      await this.#options.snapshots.removeAll();
      return this.#write();
    });
  }

  #queue(write: () => Promise<WrittenSnapshot>): Promise<WrittenSnapshot> {
    this.#waiting++;
    const writing = this.#running.then(write).finally(() => this.#waiting--);
    this.#running = writing.catch(() => undefined);
    return writing;
  }

  /** Resolves when no snapshot is being written. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Writes a snapshot for the next open, when that is worth its bytes. Failures become notices; the next open replays more events. */
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

/** What views of any moment are made from. */
interface ViewSources {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
}

/** Events that a read of the past keeps until its views are asked for: twice what lies between two snapshots. */
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
