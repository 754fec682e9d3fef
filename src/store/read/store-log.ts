import { filter as rxFilter, firstValueFrom, fromEvent, mergeMap, NEVER, type Observable, takeUntil } from 'rxjs';
import type { Page } from '../../../projections/live-view.js';
import { throwIfAborted } from '../../abort.js';
import { isStoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import type { StoredEvent } from '../../model/events.js';
import { mustBeBoolean, mustBeObject, mustBeSignal } from '../argument-types.js';
import { compileFilter } from './event-filter.js';
import type { Head } from '../store.js';
import type { FollowOptions, ReadOptions, StoreLog } from './log-reads.js';

/** The reading side of a store's log: pages from the database, and what was folded as it happens. */
export class EventReader implements StoreLog {
  readonly events$: Observable<StoredEvent>;
  readonly #log: Log;
  readonly #folded$: Observable<Page>;

  #head: Head;

  /** Reads `log`, whose events up to its head are folded; `folded$` gives the pages after that. */
  constructor(log: Log, folded$: Observable<Page>) {
    this.#log = log;
    this.#folded$ = folded$;
    this.#head = log.head;
    folded$.subscribe((page) => {
      const last = page.at(-1);
      if (last !== undefined) this.#head = { seq: last.seq, time: last.time };
    });
    this.events$ = folded$.pipe(mergeMap((page) => page));
  }

  /** The last event that every view has folded: whoever reads up to here finds it in the views. */
  get head(): Head {
    return this.#head;
  }

  async *read(options: ReadOptions = {}): AsyncGenerator<StoredEvent> {
    mustBeObject('options', options);
    const { from, reverse, limit = Number.POSITIVE_INFINITY, signal } = options;
    mustBeBoolean('reverse', reverse);
    mustBeSignal('signal', signal);
    throwIfAborted(signal);
    if (limit !== Number.POSITIVE_INFINITY) checkCount('limit', limit);
    checkCount('from', from);
    checkCount('to', options.to);
    const passes = compileFilter(options.filter);
    const to = Math.min(options.to ?? this.head.seq, this.head.seq);
    let left = limit;
    if (left === 0) return;
    for await (const page of this.#log.pages({ from, to, reverse, signal })) {
      for (const event of page) {
        if (!passes(event)) continue;
        yield event;
        throwIfAborted(signal);
        if (--left === 0) return;
      }
    }
  }

  // Nothing is buffered: a follower that is behind reads the database at its own pace, and one that has caught up only
  // waits to hear that the head moved.
  async *follow(options: FollowOptions = {}): AsyncGenerator<StoredEvent> {
    mustBeObject('options', options);
    const { from = this.head.seq + 1, filter, signal } = options;
    checkCount('from', from);
    mustBeSignal('signal', signal);
    // Before it waits: the first event may be long in coming.
    compileFilter(filter);
    let next = Math.max(1, from);
    for (;;) {
      throwIfAborted(signal);
      const to = this.head.seq;
      if (next > to) {
        if (!(await this.#headReaches(next, signal))) return;
        continue;
      }
      if (!(yield* this.#untilClosed({ from: next, to, filter, signal }))) return;
      next = to + 1;
    }
  }

  // A follower that is behind when the store is closed ends as one that waits does.
  async *#untilClosed(options: ReadOptions): AsyncGenerator<StoredEvent, boolean> {
    try {
      yield* this.read(options);
      return true;
    } catch (error) {
      if (isStoreError(error, 'STORE_CLOSED')) return false;
      throw error;
    }
  }

  /** Resolves when the head is at `seq` or beyond; false when the log was closed before. */
  async #headReaches(seq: number, signal: AbortSignal | undefined): Promise<boolean> {
    const aborted$ = signal === undefined ? NEVER : fromEvent(signal, 'abort');
    const reached$ = this.#folded$.pipe(
      rxFilter(() => this.head.seq >= seq),
      takeUntil(aborted$),
    );
    const reached = await firstValueFrom(reached$, { defaultValue: undefined });
    throwIfAborted(signal);
    return reached !== undefined;
  }
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return;
  throw new RangeError(`${name} must be a whole number from 0 up: ${value}`);
}
