import type { Views, ViewSet } from '../../../projections/views.js';
import { encodeViews } from '../../../projections/views-codec.js';
import { CHANGES_STEP_EVENTS, MAX_CHANGES_AT_CLOSE, MAX_CHANGES_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import { ChangesBuilder, gaps, type Stretch } from './changes-file.js';
import type { SnapshotFolder } from './snapshot-folder.js';
import { Mutex } from '../files/files.js';
import { thrownText } from '../../errors.js';

/** A snapshot that was written. */
export interface WrittenSnapshot {
  /** The last event in it. */
  readonly seq: number;
  /** Size of its file; 0 if the log is empty, so that none was written. */
  readonly bytes: number;
}

interface SnapshotterOptions {
  readonly log: Log;
  readonly snapshots: SnapshotFolder;
  /** Live views, folded up to `seq`. */
  readonly viewSet: ViewSet;
  readonly seq: number;
  /** Events between background snapshots; 0 for none. */
  readonly every: number;
  /** Entries of a store from which changes are written too; default 50,000. */
  readonly largeEntries?: number;
  /** Receives failures to write a snapshot. */
  readonly onNotice: (notice: string) => void;
}

/** Images, references and layers of a small store: a snapshot takes no longer than its syncs. */
const SMALL_STORE_ENTRIES = 1_000;
/** A larger store is written at close only after one new event per this many entries. */
const ENTRIES_PER_EVENT = 10;
/** Entries of a store from which changes are written too: its views are larger than those. */
const LARGE_STORE_ENTRIES = 50_000;
/** A large store's views are written again after one new event per this many entries. */
const ENTRIES_PER_EVENT_OF_LARGE = 4;

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

  /** Writes a snapshot of the current views, after those requested before, and the changes that are missing. */
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

  #queue<Written>(write: () => Promise<Written>): Promise<Written> {
    this.#waiting++;
    return this.#writing.run(write).finally(() => this.#waiting--);
  }

  settled(): Promise<void> {
    return this.#writing.settled();
  }

  /** Writes for the next open what is worth its bytes. Failures become notices. */
  async writeLast(): Promise<void> {
    await this.settled();
    const tail = this.#seq - this.#options.snapshots.newest;
    const entries = this.#entries;
    if (this.#isLarge) await this.#tryWrite(() => this.#writeDue(MAX_CHANGES_AT_CLOSE));
    else if (tail > 0 && (entries <= SMALL_STORE_ENTRIES || tail * ENTRIES_PER_EVENT >= entries))
      await this.#tryWrite(() => this.#write());
  }

  get #entries(): number {
    return countEntries(this.#options.viewSet.views);
  }

  get #isLarge(): boolean {
    return this.#entries >= (this.#options.largeEntries ?? LARGE_STORE_ENTRIES);
  }

  #noteFolded(seq: number | undefined): void {
    if (seq === undefined) return;
    this.#seq = seq;
    const { every } = this.#options;
    if (every > 0 && seq - this.#begun >= every && this.#waiting === 0) void this.#tryWrite(() => this.#writeDue());
  }

  async #tryWrite(write: () => Promise<unknown>): Promise<void> {
    try {
      await this.#queue(write);
    } catch (error) {
      const why = thrownText(error);
      this.#options.onNotice(`no snapshot was written: ${why}`);
    }
  }

  /** Writes the changes of a large store, and its views only when the changes are many. */
  async #writeDue(mostEvents?: number): Promise<void> {
    const { snapshots } = this.#options;
    if (!this.#isLarge || (this.#seq - snapshots.newest) * ENTRIES_PER_EVENT_OF_LARGE >= this.#entries) {
      await this.#write(mostEvents);
      return;
    }
    this.#begun = this.#seq;
    if (await this.#writeChanges(this.#seq, mostEvents)) await this.#writeBeside();
  }

  async #write(mostEvents?: number): Promise<WrittenSnapshot> {
    const seq = this.#seq;
    this.#begun = seq;
    if (seq === 0) return { seq, bytes: 0 };
    const { snapshots, viewSet } = this.#options;
    const bytes = await snapshots.writeViews(seq, encodeViews(viewSet.views));
    if (this.#isLarge) await this.#writeChanges(seq, mostEvents);
    await this.#writeBeside();
    return { seq, bytes };
  }

  /**
   * Writes the changes that are missing up to `seq`, of at most `mostEvents`; a later call continues.
   * Reads their events again: holding them until then would cost more memory than the images.
   * Resolves with whether it wrote any.
   */
  async #writeChanges(seq: number, mostEvents = Number.POSITIVE_INFINITY): Promise<boolean> {
    const missing = gaps(await this.#options.snapshots.stretches(), seq).flatMap(filesOf);
    let [left, written] = [mostEvents, 0];
    for (const stretch of missing) {
      left -= stretch.to - stretch.from;
      if (left < 0) break;
      await this.#writeFile(stretch);
      written += 1;
    }
    return written > 0;
  }

  async #writeFile({ from, to }: Stretch): Promise<void> {
    const { log, snapshots } = this.#options;
    const changes = new ChangesBuilder();
    for await (const page of log.entryPages({ from: from + 1, to })) for (const entry of page) changes.add(entry);
    await snapshots.writeChanges({ from, to }, changes.finish());
  }
}

/** Splits a gap into files; what is shorter than a step waits for more. */
function filesOf({ from, to }: Stretch): Stretch[] {
  const files: Stretch[] = [];
  for (let at = from; to - at >= CHANGES_STEP_EVENTS; at += MAX_CHANGES_EVENTS)
    files.push({ from: at, to: Math.min(to, at + MAX_CHANGES_EVENTS) });
  return files;
}

function countEntries({ images, references, layers }: Views): number {
  return images.size + references.byName.size + layers.byChain.size;
}
