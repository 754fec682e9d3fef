import { isStoreError } from '../../errors.js';
import { MAX_PAGE_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import type { CompiledFilter } from './event-filter.js';
import type { StretchSource } from './event-iterator.js';
import { lastSeqBefore } from './last-seq-by.js';
import { type LogFeed, pageAfter } from './log-feed.js';
import type { ParkedFollower } from './parked-followers.js';
import { readStretch, type Stretch } from './stretch.js';

export interface LiveSourceOptions {
  readonly log: Log;
  readonly feed: LogFeed;
  readonly filter: CompiledFilter;
  /** First seq to give. */
  readonly from: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The stretches of a log from one seq on, for ever: from the database as long as the reader is behind, from memory when it
 * has all but the newest page, and at the head it is parked until an event comes that passes its filter.
 */
export class LiveSource implements StretchSource {
  readonly #log: Log;
  readonly #feed: LogFeed;
  readonly #filter: CompiledFilter;
  readonly #signal: AbortSignal | undefined;
  /** Where the last stretch ended. */
  #end: number;
  #passed = 0;
  #parked: ParkedFollower | undefined;
  #hasSkipped = false;
  #isClosed = false;

  constructor({ log, feed, filter, from, signal }: LiveSourceOptions) {
    this.#log = log;
    this.#feed = feed;
    this.#filter = filter;
    this.#end = from - 1;
    this.#signal = signal;
  }

  get passed(): number {
    return this.#parked === undefined ? this.#passed : this.#feed.head.seq;
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#feed.isClosed;
  }

  async next(): Promise<Stretch | undefined> {
    if (this.#feed.isClosed) return undefined;
    const stretch = this.#end >= this.#feed.head.seq ? await this.#park() : await this.#behind();
    if (stretch !== undefined) this.#end = stretch.end;
    return stretch;
  }

  end(): void {
    if (this.#parked === undefined) return;
    this.#feed.parked.unpark(this.#parked);
    this.#parked.end();
  }

  // Times never go back from one event to the next: what is before the first moment that is asked for need not be read.
  #skipEarlier(): void {
    const { since } = this.#filter;
    if (since === undefined || this.#hasSkipped) return;
    this.#hasSkipped = true;
    this.#end = Math.max(this.#end, lastSeqBefore(this.#log, this.#feed.head.seq, since));
  }

  #park(): Promise<Stretch | undefined> {
    const from = this.#end + 1;
    const { passes } = this.#filter;
    return new Promise((resolve) => {
      this.#parked = {
        filter: this.#filter,
        wants: (event) => event.seq >= from && (passes === undefined || passes(event)),
        wake: (page) => {
          this.#parked = undefined;
          this.#passed = (page[0]?.seq ?? 1) - 1;
          resolve(pageAfter(page, this.#end));
        },
        end: () => {
          this.#passed = this.passed;
          this.#parked = undefined;
          resolve(undefined);
        },
      };
      this.#feed.parked.park(this.#parked);
    });
  }

  async #behind(): Promise<Stretch | undefined> {
    const newest = this.#feed.newestAfter(this.#end);
    if (newest !== undefined) return newest;
    try {
      this.#skipEarlier();
      const range = { first: this.#end + 1, last: this.#feed.head.seq, reverse: false, size: MAX_PAGE_EVENTS };
      if (range.first > range.last) return { events: [], end: this.#end };
      return await readStretch(this.#log, this.#filter.subjects, { ...range, signal: this.#signal });
    } catch (error) {
      // A follower that is behind when the store is closed ends as one that waits does.
      if (!isStoreError(error, 'STORE_CLOSED')) throw error;
      this.#isClosed = true;
      return undefined;
    }
  }
}
