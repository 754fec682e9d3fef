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
