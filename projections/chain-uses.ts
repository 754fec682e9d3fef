import type { ChainId } from '../src/model/digest.js';
import { DigestIndex, NO_ROW } from './digest-index.js';
import { DigestRows } from './digest-rows.js';
import { grown, roomFor } from './grown.js';

/** How many images have each chain as their root filesystem. A chain has a row, and keeps it when its last image goes. */
export class ChainUses {
  readonly digests: DigestRows;
  readonly index: DigestIndex;
  #uses: Uint32Array<ArrayBuffer>;

  /** Over chains and the index of all of them, which are then its own; of no images yet. */
  constructor(digests = new DigestRows(), index = new DigestIndex(digests)) {
    this.digests = digests;
    this.index = index;
    this.#uses = new Uint32Array(digests.length);
  }

  /** How many images have this chain. */
  of(chainId: ChainId): number {
    const row = this.index.find(chainId);
    return row === NO_ROW ? 0 : (this.#uses[row] as number);
  }

  /** Counts one more image with this chain, and returns the row of the chain. */
  add(chainId: ChainId): number {
    let row = this.index.find(chainId);
    if (row === NO_ROW) {
      row = this.digests.push(chainId);
      this.index.add(row);
      if (row >= this.#uses.length) this.#uses = grown(this.#uses, roomFor(row));
    }
    this.addTo(row);
    return row;
  }

  /** Counts one more image with the chain in `row`. */
  addTo(row: number): void {
    this.#uses[row] = (this.#uses[row] as number) + 1;
  }

  /** Counts one image less with the chain in `row`. */
  drop(row: number): void {
    this.#uses[row] = (this.#uses[row] as number) - 1;
  }
}
