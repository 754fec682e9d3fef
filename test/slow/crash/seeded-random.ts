import { createHash } from 'node:crypto';

/** Random numbers that are the same for the same seed. */
export class SeededRandom {
  readonly #seed: string;
  #count = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A whole number from 0 up to and without `end`. */
  below(end: number): number {
    const hash = createHash('sha256')
      .update(`${this.#seed} ${this.#count++}`)
      .digest();
    return end === 0 ? 0 : hash.readUInt32BE() % end;
  }
}
