import { MAX_PAGE_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import type { CompiledFilter } from './event-filter.js';
import type { StretchSource } from './event-iterator.js';
import { lastSeqBefore, lastSeqBy } from './last-seq-by.js';
import { readStretch, type Stretch } from './stretch.js';

/** Events of the first stretch when nothing says how many are wanted: most reads want the first or a few. */
const FIRST_STRETCH_EVENTS = 32;

export interface RangeSourceOptions {
  readonly log: Log;
  readonly filter: CompiledFilter;
  /** First and last seq, inclusive, whatever the direction. */
  readonly first: number;
  readonly last: number;
  readonly reverse: boolean;
  readonly signal: AbortSignal | undefined;
}

/** The stretches of a part of the log that is there already. */
export class RangeSource implements StretchSource {
  readonly passed = 0;
  // A read that ended with the store, as a follower does, would look like one that gave all.
  readonly isClosed = false;
  readonly #options: RangeSourceOptions;
  #first: number;
  #last: number;
  #size = FIRST_STRETCH_EVENTS;
  #isNarrowed = false;

  constructor(options: RangeSourceOptions) {
    this.#options = options;
    this.#first = options.first;
    this.#last = options.last;
  }

  async next(): Promise<Stretch | undefined> {
    if (!this.#isNarrowed) this.#narrow();
    if (this.#first > this.#last) return undefined;
    const { log, filter, reverse, signal } = this.#options;
    const range = { first: this.#first, last: this.#last, reverse, size: this.#size, signal };
    const stretch = await readStretch(log, filter.subjects, range);
    if (reverse) this.#last = stretch.end - 1;
    else this.#first = stretch.end + 1;
    this.#size = Math.min(MAX_PAGE_EVENTS, 2 * this.#size);
    return stretch;
  }

  end(): void {
    this.#first = this.#last + 1;
  }

  // Times never go back from one event to the next: what is out of the times that are asked for need not be read.
  #narrow(): void {
    const { log, filter } = this.#options;
    if (filter.until !== undefined) this.#last = lastSeqBy(log, this.#last, filter.until);
    if (filter.since !== undefined)
      this.#first = Math.max(this.#first, lastSeqBefore(log, this.#last, filter.since) + 1);
    this.#isNarrowed = true;
  }
}
