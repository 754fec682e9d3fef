import { createViews, type ViewName, type ViewSet } from '../../../projections/views.js';
import type { Digest } from '../../model/digest.js';
import type { OpenOptions } from '../store.js';
import { isStoreError } from '../../errors.js';
import { mustBeFunction, mustBeObject, mustBeSignal } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import { differingViews, viewDigestsOf } from '../verify/fold-check.js';

/** How far a rebuild is. */
export interface RebuildProgress {
  /** The copy of a log that is looked at, its events, those that are written or indexed again, and what is folded from them. */
  readonly what: 'copy' | 'events' | 'log' | 'views';
  /** Bytes of the copy, or events. */
  readonly done: number;
  /** Of how many, where that is known. */
  readonly total: number | undefined;
}

/** How an open store is rebuilt. */
export interface OpenRebuildOptions {
  /** Called as events are read. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Gives up, until snapshots and checkpoint are written. */
  readonly signal?: AbortSignal | undefined;
}

/** How a closed store is rebuilt. */
export interface RebuildOptions extends Pick<OpenOptions, 'signer' | 'onNotice'> {
  /** Called as events are read. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Gives up, until the new log takes the place of the old. */
  readonly signal?: AbortSignal | undefined;
}

/** What a rebuild found and did. Subject index, tree, snapshots and checkpoint are new in any case. */
export interface RebuildResult {
  /** Events of the log: all that there were. */
  readonly events: number;
  /** Root of their tree. */
  readonly root: Uint8Array;
  /** `kept`: LevelDB had all events; `salvaged`: they were read from what LevelDB's repair found, into a new database. */
  readonly log: 'kept' | 'salvaged';
  /** Where the damaged log is now, for whoever wants to look at it; of a salvaged one. */
  readonly damagedLog?: string | undefined;
  /** Content that events name and that is gone, of a salvaged log: load it again, or restore a backup. */
  readonly lostContent: readonly Digest[];
  /** Live views of an open store that were not those of the events, and are replaced. */
  readonly replacedViews: readonly ViewName[];
}

/** Makes all that follows from the events of an open store anew, while it is read. Writers wait. */
export class StoreRebuild {
  readonly #context: StoreContext;
  #running: Promise<unknown> | undefined;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** As `EventStore.rebuild`. */
  async rebuild(options: OpenRebuildOptions = {}): Promise<RebuildResult> {
    this.#context.checkWritable();
    mustBeObject('options', options);
    mustBeSignal('signal', options.signal);
    if (options.onProgress !== undefined) mustBeFunction('onProgress', options.onProgress);
    return this.#context.writer.alone(async () => {
      const running = this.#rebuild(options);
      this.#running = running.catch(() => undefined);
      try {
        return await running;
      } finally {
        this.#running = undefined;
      }
    });
  }

  /** Resolves when no rebuild is under way; until the caller waits again, none begins. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #rebuild(options: OpenRebuildOptions): Promise<RebuildResult> {
    const { log, snapshotter, checkpoints } = this.#context;
    const { seq, root } = log.head;
    const fresh = await this.#foldAnew(options);
    await this.#renewRows(options);
    const replacedViews = await this.#replaceWrongViews(fresh);
    await snapshotter.renew();
    await checkpoints.renew();
    options.onProgress?.({ what: 'views', done: seq, total: seq });
    return { events: seq, root, log: 'kept', damagedLog: undefined, lostContent: [], replacedViews };
  }

  async #foldAnew({ onProgress, signal }: OpenRebuildOptions): Promise<ViewSet> {
    const { log } = this.#context;
    const fresh = createViews();
    for await (const page of log.pages({ signal })) {
      fresh.fold(page);
      onProgress?.({ what: 'events', done: page.at(-1)?.seq ?? 0, total: log.head.seq });
    }
    return fresh;
  }

  async #renewRows({ onProgress, signal }: OpenRebuildOptions): Promise<void> {
    const { log } = this.#context;
    const thrown: unknown[] = [];
    const tell = (done: number, total: number): void => {
      try {
        onProgress?.({ what: 'log', done, total });
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    };
    try {
      await log.renewRows({ signal, onProgress: tell });
    } catch (error) {
      // The caller's own error says nothing of the log, and comes through as it is.
      if (thrown.length > 0) throw thrown[0];
      // Writers wait, so there is no event to be found. If this fails too, the next append says so.
      if (isStoreError(error, 'LOG_FAILED')) await log.recover().catch(() => undefined);
      throw error;
    }
  }

  async #replaceWrongViews(fresh: ViewSet): Promise<RebuildResult['replacedViews']> {
    const { viewSet, onNotice } = this.#context;
    const expected = await viewDigestsOf(fresh.views)();
    const wrong = differingViews(expected, await viewDigestsOf(viewSet.views)());
    viewSet.replace(fresh.views, wrong);
    if (wrong.length > 0) onNotice(`views that were not those of the events were replaced: ${wrong.join(', ')}`);
    return wrong;
  }
}
