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
