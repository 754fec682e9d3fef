import type { ChainId } from '../../model/digest.js';
import type { Command } from '../write/command.js';
import type { HoldCounts } from '../decide/noted-state.js';
import type { LayerMetadata } from '../store.js';

/** Counts the callers that hold each chain, and knows which chains are going. Holds are of this process and end with it. */
export class LayerHolds implements HoldCounts {
  readonly #counts = new Map<ChainId, number>();
  readonly #going = new Set<ChainId>();

  holdsOf(chainId: ChainId): number {
    return this.#counts.get(chainId) ?? 0;
  }

  add(chainId: ChainId): void {
    this.#counts.set(chainId, this.holdsOf(chainId) + 1);
  }

  /** Whether a command that is not yet durable removes the layer: then nobody may take a hold on it any more. */
  isGoing(chainId: ChainId): boolean {
    return this.#going.has(chainId);
  }

  /** Returns what a command has to call whose result are the layers that it removes. */
  removal(): Pick<Command<readonly LayerMetadata[]>, 'accepted' | 'committed' | 'withdrawn'> {
    let chains: readonly ChainId[] = [];
    const settled = (): void => {
      for (const chainId of chains) this.#going.delete(chainId);
    };
    return {
      accepted: (removed) => {
        chains = removed.map(({ chainId }) => chainId);
        for (const chainId of chains) this.#going.add(chainId);
      },
      committed: settled,
      withdrawn: settled,
    };
  }

  drop(chainId: ChainId): void {
    const left = this.holdsOf(chainId) - 1;
    if (left > 0) this.#counts.set(chainId, left);
    else this.#counts.delete(chainId);
  }
}
