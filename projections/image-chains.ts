import { type ChainId, HASH_BYTES } from '../src/model/digest.js';
import { StoreError } from '../src/errors.js';
import { DigestIndex, DigestRows, grown, NO_ROW, roomFor } from './digest-index.js';
import { ChainUses } from './layers.js';
import { SnapshotDamage } from './snapshot-format.js';

/** Chains of images in a snapshot. */
export interface ChainColumns {
  /** Chains, with room for more. */
  readonly hashes: Uint8Array<ArrayBuffer>;
  /** Their rows in digest order. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** 1 + chain row of each image, or 0; with room for more. */
  readonly chainOf: Uint32Array<ArrayBuffer>;
}

/** Chains in memory, with slots of an index of them. */
interface ChainCopy {
  readonly hashes: Uint8Array;
  readonly slots: Uint32Array;
  readonly chainOf: Uint32Array<ArrayBuffer>;
}

/**
 * The chain of each image, by row. Which images share one is found out when that is asked for, or an
 * image is added by its id: most reads of the past ask for neither. Until then a chain may have
 * several rows.
 */
export class ImageChains {
  readonly #digests: DigestRows;
  /** The rows that came in order of digests; undefined once all are indexed. */
  #order: Uint32Array | undefined;
  #uses: ChainUses | undefined;
  #chainOf: Uint32Array<ArrayBuffer>;

  /** Takes ownership of the columns. @throws {SnapshotDamage} for a chain that is not there */
  constructor(columns?: ChainColumns) {
    this.#digests = new DigestRows(columns?.hashes, columns?.order.length);
    this.#order = columns?.order;
    this.#chainOf = columns?.chainOf ?? new Uint32Array(0);
    checkNumbers(this.#chainOf, this.#digests.length);
    if (columns === undefined) this.#uses = new ChainUses(this.#digests);
  }

  /** Returns the chain of a row. */
  at(row: number): ChainId | undefined {
    const chain = this.#chainOf[row] as number;
    return chain === 0 ? undefined : (this.#digests.digest(chain - 1) as ChainId);
  }

  /** Number of images with this chain. @throws {StoreError} CONTENT_CORRUPT for a snapshot that is damaged */
  usesOf(chainId: ChainId): number {
    return this.#counted().of(chainId);
  }

  /** Sets or clears the chain of a row that has none. @throws {StoreError} CONTENT_CORRUPT, as `usesOf` */
  set(row: number, chainId: ChainId | undefined): void {
    this.#chainOf[row] = chainId === undefined ? 0 : this.#counted().add(chainId) + 1;
  }

  /** As `set`, by the hash of 32 bytes at `start` of `hashes`. */
  setHash(row: number, hashes: Uint8Array, start: number): void {
    const chain = this.#uses?.addHash(hashes, start) ?? this.#digests.pushHash(hashes, start);
    this.#chainOf[row] = chain + 1;
  }

  /** Copies the mutable state: of `rows` images. @throws {StoreError} CONTENT_CORRUPT, as `usesOf` */
  copy(rows: number): ChainCopy {
    const { digests, index } = this.#counted();
    return { hashes: digests.hashes, slots: index.copySlots(), chainOf: this.#chainOf.slice(0, rows) };
  }

  /** Takes the chain from a row. */
  drop(row: number): void {
    const chain = this.#chainOf[row] as number;
    if (chain > 0) this.#uses?.drop(chain - 1);
    this.#chainOf[row] = 0;
  }

  /** Makes room for at least `rows` images. */
  reserve(rows: number): void {
    if (rows > this.#chainOf.length) this.#chainOf = grown(this.#chainOf, roomFor(rows));
  }

  /** Finds out which images share a chain. @throws {SnapshotDamage} when the chains are not in order */
  index(): void {
    const order = this.#order;
    if (order === undefined) return;
    const chains = this.#digests;
    const index = DigestIndex.ofOrdered(chains, order);
    // The rows that came later may be of chains that were there.
    const rowOf = new Uint32Array(chains.length);
    for (let row = 0; row < rowOf.length; row++) {
      const found = row < order.length ? row : index.findHash(chains.hashes, row * HASH_BYTES);
      if (found === NO_ROW) index.add(row);
      rowOf[row] = found === NO_ROW ? row : found;
    }
    const uses = new ChainUses(chains, index);
    for (let row = 0; row < this.#chainOf.length; row++) {
      const chain = this.#chainOf[row] as number;
      if (chain === 0) continue;
      uses.addTo(rowOf[chain - 1] as number);
      this.#chainOf[row] = (rowOf[chain - 1] as number) + 1;
    }
    this.#uses = uses;
    this.#order = undefined;
  }

  #counted(): ChainUses {
    try {
      this.index();
    } catch (cause) {
      if (!(cause instanceof SnapshotDamage)) throw cause;
      throw new StoreError('CONTENT_CORRUPT', `the chains of a snapshot are damaged: ${cause.message}`, { cause });
    }
    return this.#uses as ChainUses;
  }
}

/** Checks a column of 1 + row, or 0. By index: an iterator costs more than its items before it is optimized. */
export function checkNumbers(numbers: Uint32Array, most: number): void {
  for (let at = 0; at < numbers.length; at++) {
    if ((numbers[at] as number) > most) throw new SnapshotDamage(`it has no row ${numbers[at]}`);
  }
}
