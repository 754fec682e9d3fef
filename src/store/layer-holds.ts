import type { ChainId } from '../model/digest.js';
import type { HoldCounts } from './decide/noted-state.js';

/** Counts the callers that hold each chain. Holds are of this process and end with it. */
export class LayerHolds implements HoldCounts {
  readonly #counts = new Map<ChainId, number>();

  holdsOf(chainId: ChainId): number {
    return this.#counts.get(chainId) ?? 0;
  }

  add(chainId: ChainId): void {
    this.#counts.set(chainId, this.holdsOf(chainId) + 1);
  }

  drop(chainId: ChainId): void {
    const left = this.holdsOf(chainId) - 1;
    if (left > 0) this.#counts.set(chainId, left);
    else this.#counts.delete(chainId);
  }
}
