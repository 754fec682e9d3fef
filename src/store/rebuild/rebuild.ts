import type { OptionNames } from '../../model/option-names.js';
import { createViews, type ViewName, type ViewSet } from '../../../projections/views.js';
import type { Digest } from '../../model/digest.js';
import type { OpenOptions } from '../store.js';
import { isStoreError } from '../../errors.js';
import { mustBeFunction, mustBeOptions, mustBeSignal } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import { differingViews, viewDigestsOf } from '../verify/fold-check.js';

/** Progress of a rebuild. */
export interface RebuildProgress {
  /** What is counted: log copied, events read, events rewritten or reindexed, events folded. */
  readonly what: 'copy' | 'events' | 'log' | 'views';
  /** Bytes of the copy, or events. */
  readonly done: number;
  /** Total, where it is known. */
  readonly total: number | undefined;
}

/** Options for rebuilding an open store. */
export interface OpenRebuildOptions {
  /** Called as events are read. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Aborts, until snapshots and checkpoint are written, or a new log replaces that of a closed store. */
  readonly signal?: AbortSignal | undefined;
}

const openRebuildOptionNames: OptionNames<OpenRebuildOptions> = { onProgress: true, signal: true };

/** Options for rebuilding a closed store. */
export interface RebuildOptions extends OpenRebuildOptions, Pick<OpenOptions, 'signer' | 'onNotice' | 'lockTimeoutMs'> {
  /**
   * Continue without the events after this seq: those that are lost, and what is left behind them. It must be the seq that the error of a rebuild without it names. Layer files that only
   * they name are removed. The damaged log and the checkpoint that proves more events are kept.
   */
  readonly acceptLoss?: number | undefined;
}

/** Names of `RebuildOptions`. */
export const rebuildOptionNames: OptionNames<RebuildOptions> = {
  lockTimeoutMs: true,
  ...openRebuildOptionNames,
  signer: true,
  onNotice: true,
  acceptLoss: true,
};

/** Result of a rebuild. Subject index, tree, snapshots and checkpoint are always rewritten. */
export interface RebuildResult {
  /** Events of the log: all that ever existed, but for those accepted as lost. */
  readonly events: number;
  /** Root of their tree. */
  readonly root: Uint8Array;
  /** `kept`: LevelDB had all events. `salvaged`: its repair found them, for a new database. */
  readonly log: 'kept' | 'salvaged';
  /** Path of the damaged log, kept for inspection; when salvaged. */
  readonly damagedLog?: string | undefined;
  /** Named content lost from a salvaged log: load it again, or restore a backup. */
  readonly lostContent: readonly Digest[];
  /** First and last event that `acceptLoss` continued without. */
  readonly acceptedLoss?: { readonly first: number; readonly last: number } | undefined;
  /** Path of the checkpoint that proves them, kept as evidence; no check trusts it. */
  readonly lostCheckpoint?: string | undefined;
  /** Live views of an open store that differed from its events, and were replaced. */
  readonly replacedViews: readonly ViewName[];
}

/** Rebuilds everything derived from the events of an open store. Reads continue; writers wait. */
export class StoreRebuild {
  readonly #context: StoreContext;
  #running: Promise<unknown> | undefined;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** As `EventStore.rebuild`. */
  async rebuild(options: OpenRebuildOptions = {}): Promise<RebuildResult> {
    this.#context.checkWritable();
    mustBeOptions(options, openRebuildOptionNames);
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

  /** Resolves when no rebuild is running; none starts until the caller next awaits. */
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
      // The caller's own error says nothing about the log: pass it through.
      if (thrown.length > 0) throw thrown[0];
      // Writers wait, so no event can turn up. If this fails too, the next append reports it.
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
