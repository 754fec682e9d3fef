/** Deterministic pseudo-random numbers (xorshift32). Not for secrets. */
export class SeededRandom {
  #state: number;

  /** Seeds with a nonzero integer. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed === 0) throw new RangeError(`a seed must be a whole number but 0: ${seed}`);
    this.#state = seed | 0 || 1;
  }

  /** Returns a number in [0, 1). */
  fraction(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** Returns an integer from `low` to `high`, inclusive. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  happens(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** Returns one of `items`, which must not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('items must not be empty');
    return items[this.between(0, items.length - 1)] as Item;
  }
}
