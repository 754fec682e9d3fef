import { createViews, type ViewSet } from '../../../projections/views.js';
import { isStoreError } from '../../errors.js';
import { mustBeFunction, mustBeObject, mustBeSignal } from '../argument-types.js';
import type { EventStoreParts } from '../event-store-parts.js';
import type { StoreState } from '../store-state.js';
import { differingViews, viewDigestsOf } from '../verify/view-digests.js';
import type { Writer } from '../write/writer.js';
import type { OpenRebuildOptions, RebuildResult } from './rebuild.js';

/** An open store, as far as its rebuild goes. */
export interface StoreRebuildParts
  extends Pick<EventStoreParts, 'log' | 'viewSet' | 'snapshotter' | 'checkpoints' | 'onNotice'> {
  readonly writer: Pick<Writer, 'alone'>;
  readonly state: StoreState;
}

/** Makes all that follows from the events of an open store anew, while it is read. Writers wait. */
export class StoreRebuild {
  readonly #parts: StoreRebuildParts;
  #running: Promise<unknown> | undefined;

  constructor(parts: StoreRebuildParts) {
    this.#parts = parts;
  }

  /** As `EventStore.rebuild`. */
  async rebuild(options: OpenRebuildOptions = {}): Promise<RebuildResult> {
    const { state, writer } = this.#parts;
    state.checkWritable();
    mustBeObject('options', options);
    mustBeSignal('signal', options.signal);
    if (options.onProgress !== undefined) mustBeFunction('onProgress', options.onProgress);
    return writer.alone(async () => {
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
    const { log, snapshotter, checkpoints } = this.#parts;
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
    const { log } = this.#parts;
    const fresh = createViews();
    for await (const page of log.pages({ signal })) {
      fresh.fold(page);
      onProgress?.({ what: 'events', done: page.at(-1)?.seq ?? 0, total: log.head.seq });
    }
    return fresh;
  }

  async #renewRows({ onProgress, signal }: OpenRebuildOptions): Promise<void> {
    const { log } = this.#parts;
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
    const { viewSet, onNotice } = this.#parts;
    const expected = await viewDigestsOf(fresh.views)();
    const wrong = differingViews(expected, await viewDigestsOf(viewSet.views)());
    viewSet.replace(fresh.views, wrong);
    if (wrong.length > 0) onNotice(`views that were not those of the events were replaced: ${wrong.join(', ')}`);
    return wrong;
  }
}
