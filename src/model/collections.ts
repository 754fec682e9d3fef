import { MAX_REMEMBERED } from '../limits.js';

/**
 * Remembers what was made of up to MAX_REMEMBERED texts, for work that costs many times a lookup and
 * whose texts return: names of images, actors.
 */
export class Memo<Value> {
  readonly #make: (text: string) => Value;
  readonly #values = new Map<string, Value>();

  /** `make` is pure; what it throws is not remembered. */
  constructor(make: (text: string) => Value) {
    this.#make = make;
  }

  of(text: string): Value {
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    const value = this.#make(text);
    if (this.#values.size >= MAX_REMEMBERED) this.#values.clear();
    this.#values.set(text, value);
    return value;
  }
}

/** A map of a bounded number of entries: one more drops the one that was set longest ago. */
export class RecentMap<Key, Value> extends Map<Key, Value> {
  readonly #limit: number;
  readonly #onDrop: (value: Value) => void;

  /** `onDrop` gets each value that is dropped. */
  constructor(limit: number, onDrop: (value: Value) => void = () => undefined) {
    super();
    this.#limit = limit;
    this.#onDrop = onDrop;
  }

  /** Sets an entry as the newest, also one that is there. */
  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    const [oldest] = this.size > this.#limit ? this.entries() : [];
    if (oldest !== undefined && this.delete(oldest[0])) this.#onDrop(oldest[1]);
    return this;
  }
}

/**
 * Returns how many of `count` sorted places `isBefore` accepts: all up to some place, and none after.
 * A binary search.
 */
export function countBefore(count: number, isBefore: (place: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
