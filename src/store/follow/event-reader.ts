import { mergeMap, type Observable } from 'rxjs';
import type { Page } from '../../../projections/views.js';
import type { Head, Log } from '../../log/log.js';
import type { StoredEvent } from '../../model/events.js';
import { mustBeBoolean, mustBeCount, mustBeObject, mustBeSignal } from '../argument-types.js';
import {
  type CompiledFilter,
  compileFilter,
  type FollowOptions,
  type ReadOptions,
  type StoreLog,
} from './event-filter.js';
import { EventIterator, type IterationWatcher } from './event-iterator.js';
import { LiveSource, LogFeed, LogFollower, RangeSource } from './log-feed.js';

/** Which events to follow, by a filter that was checked. */
interface CheckedFollowOptions {
  /** First seq to give. */
  readonly from: number;
  readonly filter: CompiledFilter;
  readonly signal: AbortSignal | undefined;
  readonly watcher?: IterationWatcher | undefined;
}

/** The reading side of a store's log: pages from the database, and what was folded as it happens. */
export class EventReader implements StoreLog {
  readonly events$: Observable<StoredEvent>;
  readonly #log: Log;
  readonly #feed: LogFeed;

  /** Reads `log`, whose events up to its head are folded; `folded$` gives the pages after that. */
  constructor(log: Log, folded$: Observable<Page>) {
    this.#log = log;
    this.#feed = new LogFeed(log, folded$);
    this.events$ = folded$.pipe(mergeMap((page) => page));
  }

  get head(): Head {
    return this.#feed.head;
  }

  read(options: ReadOptions = {}): EventIterator {
    mustBeObject('options', options);
    const { from = 1, to = this.head.seq, reverse, limit = Number.POSITIVE_INFINITY, signal } = options;
    mustBeBoolean('reverse', reverse);
    mustBeSignal('signal', signal);
    if (limit !== Number.POSITIVE_INFINITY) mustBeCount('limit', limit);
    mustBeCount('from', from);
    mustBeCount('to', to);
    const filter = compileFilter(options.filter);
    const source = new RangeSource({
      log: this.#log,
      filter,
      first: Math.max(1, from),
      last: Math.min(to, this.head.seq),
      reverse: reverse ?? false,
      signal,
    });
    return new EventIterator({ source, passes: filter.passes, limit, position: 0, signal });
  }

  follow(options: FollowOptions = {}): LogFollower {
    mustBeObject('options', options);
    const { from = this.head.seq + 1, signal } = options;
    mustBeCount('from', from);
    mustBeSignal('signal', signal);
    return this.follower({ from, filter: compileFilter(options.filter), signal });
  }

  /** Returns a follower for options that were checked. */
  follower({ from, filter, signal, watcher }: CheckedFollowOptions): LogFollower {
    const first = Math.max(1, from);
    const source = new LiveSource({ log: this.#log, feed: this.#feed, filter, from: first, signal });
    const options = { source, passes: filter.passes, position: first - 1, signal, watcher };
    return new LogFollower(options, this.#feed);
  }
}
