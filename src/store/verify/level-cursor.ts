import type { StoredHash } from './verify-source.js';
import type { Report } from './violation.js';

/** The hashes of one level of tiles as they are kept, taken in order. */
export class LevelCursor {
  readonly #level: number;
  readonly #hashes: AsyncIterator<StoredHash>;
  readonly #report: Report;
  #next: StoredHash | undefined;
  #isDone = false;

  constructor(level: number, hashes: AsyncIterable<StoredHash>, report: Report) {
    this.#level = level;
    this.#hashes = hashes[Symbol.asyncIterator]();
    this.#report = report;
  }

  /** Resolves with the hash `index`, or undefined when it is missing. Asked for in ascending order. */
  async take(index: number): Promise<StoredHash | undefined> {
    let next = await this.#peek();
    while (next !== undefined && next.index < index) {
      this.#next = undefined;
      next = await this.#peek();
    }
    if (next?.index !== index) return undefined;
    this.#next = undefined;
    return next;
  }

  /** Reads to the end, and reports every hash that a level of `count` does not have. */
  async finish(count: number): Promise<void> {
    for (let next = await this.#peek(); next !== undefined; next = await this.#peek()) {
      this.#next = undefined;
      if (next.index < count) continue;
      const message = `the log is too short for hash ${next.index} on level ${this.#level} of its tree`;
      this.#report({ code: 'TILE_SUPERFLUOUS', place: next.place, message, expected: count, found: next.index });
    }
  }

  async #peek(): Promise<StoredHash | undefined> {
    if (this.#next !== undefined || this.#isDone) return this.#next;
    const { value, done } = await this.#hashes.next();
    this.#isDone = done === true;
    this.#next = done === true ? undefined : value;
    return this.#next;
  }
}
