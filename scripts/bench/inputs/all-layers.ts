import { Readable } from 'node:stream';
import type { ChainId, DiffId } from '../../../src/model/digest.js';
import type { LayerGetReleaser } from '../../../src/store/store.js';

/** A layer store that has every layer but no bytes, to measure only the image store on top. */
export const allLayers: LayerGetReleaser = {
  get: (chainId: ChainId) => ({
    chainId,
    diffId: chainId as string as DiffId,
    size: 0,
    diffSize: 0,
    tarStream: () => Readable.from([]),
  }),
  release: () => [],
};
