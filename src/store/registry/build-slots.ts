import { StoreError } from '../../errors.js';
import { MAX_PAST_BUILDS, MAX_WAITING_PAST_BUILDS } from '../../limits.js';

/** Builds views of the past, MAX_PAST_BUILDS at a time: each reads the log, and takes memory. */
export class BuildSlots {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /**
   * Runs a build once it is its turn.
   * @throws {StoreError} SERVER_BUSY, at once, if MAX_WAITING_PAST_BUILDS wait already
   */
  run<Built>(build: () => Promise<Built>): Promise<Built> {
    if (this.#running >= MAX_PAST_BUILDS && this.#waiting.length >= MAX_WAITING_PAST_BUILDS) {
      const message = `cannot read the past now: ${MAX_WAITING_PAST_BUILDS} moments wait to be built`;
      throw new StoreError('SERVER_BUSY', message, { data: { limit: MAX_WAITING_PAST_BUILDS } });
    }
    return this.#inTurn(build);
  }

  async #inTurn<Built>(build: () => Promise<Built>): Promise<Built> {
    if (this.#running < MAX_PAST_BUILDS) this.#running += 1;
    // The build that ends hands its turn over.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await build();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
