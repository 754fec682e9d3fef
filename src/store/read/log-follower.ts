import { EventIterator, type EventIteratorOptions } from './event-iterator.js';
import type { LogFeed } from './log-feed.js';
import type { Follower } from './log-reads.js';

/** The events of a log from one seq on, for ever. */
export class LogFollower extends EventIterator implements Follower {
  readonly #feed: LogFeed;

  constructor(options: Omit<EventIteratorOptions, 'limit'>, feed: LogFeed) {
    super({ ...options, limit: Number.POSITIVE_INFINITY });
    this.#feed = feed;
  }

  async caughtUp(): Promise<void> {
    // Nobody may be iterating who would notice that the store is closed.
    const forget = this.#feed.whenClosed(() => this.close());
    try {
      await this.reach(this.#feed.head.seq);
    } finally {
      forget();
    }
  }
}
