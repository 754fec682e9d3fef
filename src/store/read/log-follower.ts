import { EventIterator, type EventIteratorOptions } from './event-iterator.js';
import type { Follower } from './log-reads.js';

/** The events of a log from one seq on, for ever. */
export class LogFollower extends EventIterator implements Follower {
  readonly #headSeq: () => number;

  constructor(options: Omit<EventIteratorOptions, 'limit'>, headSeq: () => number) {
    super({ ...options, limit: Number.POSITIVE_INFINITY });
    this.#headSeq = headSeq;
  }

  caughtUp(): Promise<void> {
    return this.reach(this.#headSeq());
  }
}
