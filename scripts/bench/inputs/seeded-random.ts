/** Numbers that look random and are the same for the same seed (xorshift32). Not for secrets. */
export class SeededRandom {
  #state: number;

  /** Begins at `seed`, a whole number but 0. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed === 0) throw new RangeError(`a seed must be a whole number but 0: ${seed}`);
    this.#state = seed | 0 || 1;
  }

  /** Returns a number from 0 up to and without 1. */
  fraction(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** Returns a whole number from `low` to `high`, inclusive. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** Whether something happens that does so with this probability. */
  happens(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** Returns one of `items`, of which there is at least one. */
  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('items must not be empty');
    return items[this.between(0, items.length - 1)] as Item;
  }
}
