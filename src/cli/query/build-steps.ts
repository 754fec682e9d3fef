import type { DiffId } from '../../model/digest.js';
import type { Image } from '../../model/image.js';
import type { LayerTable } from './image-source.js';
import { layerChain } from './layer-chain.js';

/** One step of the build of an image. */
export interface BuildStep {
  /** Milliseconds since the epoch; null when the config does not say. */
  readonly created: number | null;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of the regular files that the step added; 0 when it made no layer, null when the store does not know. */
  readonly size: number | null;
  /** The layer that the step made; null when it made none. */
  readonly diffId: DiffId | null;
}

/**
 * Returns the build steps of an image, the first one first. Layers that the
 * config's history says nothing of follow at the end, without words.
 */
export function buildSteps(image: Image, layers: LayerTable): BuildStep[] {
  const chain = layerChain(image.rootFS.diffIds);
  const sized = chain.map(({ diffId, chainId }) => ({ diffId, size: layers.get(chainId)?.diffSize ?? null }));
  const steps: BuildStep[] = [];
  for (const { created, createdBy, comment, emptyLayer } of image.history) {
    const layer = emptyLayer ? undefined : sized.shift();
    steps.push({
      created: timeOf(created),
      createdBy,
      comment,
      size: emptyLayer ? 0 : (layer?.size ?? null),
      diffId: layer?.diffId ?? null,
    });
  }
  return [...steps, ...sized.map((layer) => ({ created: null, createdBy: '', comment: '', ...layer }))];
}

function timeOf(created: string | undefined): number | null {
  const time = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(time) ? null : time;
}
