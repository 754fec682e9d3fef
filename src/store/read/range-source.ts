import { MAX_PAGE_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import type { Subject } from '../../model/subjects.js';
import type { StretchSource } from './event-iterator.js';
import { readStretch, type Stretch } from './stretch.js';

/** Events of the first stretch when nothing says how many are wanted: most reads want the first or a few. */
const FIRST_STRETCH_EVENTS = 32;

export interface RangeSourceOptions {
  readonly log: Log;
  readonly subjects: readonly Subject[] | undefined;
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

  constructor(options: RangeSourceOptions) {
    this.#options = options;
    this.#first = options.first;
    this.#last = options.last;
  }

  async next(): Promise<Stretch | undefined> {
    if (this.#first > this.#last) return undefined;
    const { log, subjects, reverse, signal } = this.#options;
    const range = { first: this.#first, last: this.#last, reverse, size: this.#size, signal };
    const stretch = await readStretch(log, subjects, range);
    if (reverse) this.#last = stretch.end - 1;
    else this.#first = stretch.end + 1;
    this.#size = Math.min(MAX_PAGE_EVENTS, 2 * this.#size);
    return stretch;
  }

  end(): void {
    this.#first = this.#last + 1;
  }
}
