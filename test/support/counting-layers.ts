import { Readable } from 'node:stream';
import type { ChainId, DiffId } from '../../src/model/digest.js';
import type { Layer, LayerGetReleaser, LayerMetadata } from '../../src/store/store.js';

/** A layer store that has some chains and no bytes, and counts who holds each: the one behind the recorded traces. */
export class CountingLayers implements LayerGetReleaser {
  readonly counts = new Map<ChainId, number>();

  constructor(chains: readonly string[]) {
    for (const chain of chains) this.counts.set(chain as ChainId, 0);
  }

  get(chainId: ChainId): Layer {
    const count = this.counts.get(chainId);
    if (count === undefined) throw new Error('layer does not exist');
    this.counts.set(chainId, count + 1);
    const nothing = (): Readable => Readable.from([]);
    return { chainId, diffId: chainId as string as DiffId, size: 0, diffSize: 0, tarStream: nothing };
  }

  release({ chainId, diffId, size, diffSize }: Layer): LayerMetadata[] {
    const left = (this.counts.get(chainId) ?? 0) - 1;
    this.counts.set(chainId, left);
    return left === 0 ? [{ chainId, diffId, size, diffSize }] : [];
  }
}
