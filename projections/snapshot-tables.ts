import { type Digest, digestFromHash, HASH_BYTES } from '../src/model/digest.js';
import { SnapshotDamage } from './snapshot-damage.js';

/** What the numbers in a snapshot stand for. A digest becomes a string when it is first asked for, and then stays the same one. */
export class SnapshotTables {
  readonly #hashes: Uint8Array;
  readonly #count: number;
  readonly #digests: (Digest | undefined)[] = [];
  readonly #words: readonly string[];

  /** Over the hashes of all digests, one after another, and the words. */
  constructor(hashes: Uint8Array, words: readonly string[]) {
    this.#hashes = hashes;
    this.#count = hashes.length / HASH_BYTES;
    this.#words = words;
  }

  /** Returns `number` when a digest has it. @throws {SnapshotDamage} when none has */
  checked(number: number): number {
    if (number >= 1 && number <= this.#count) return number;
    throw unknown(number);
  }

  /** The digest that has a number which was checked. */
  digest(number: number): Digest {
    const known = this.#digests[number];
    if (known !== undefined) return known;
    const digest = digestFromHash(this.#hashes, (number - 1) * HASH_BYTES);
    this.#digests[number] = digest;
    return digest;
  }

  /** The word that has `number`. @throws {SnapshotDamage} when none has */
  word(number: number): string {
    const word = this.#words[number - 1];
    if (word === undefined) throw unknown(number);
    return word;
  }
}

function unknown(number: number): SnapshotDamage {
  return new SnapshotDamage(`it names number ${number}, which is not in its tables`);
}
