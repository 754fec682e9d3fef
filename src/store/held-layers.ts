import { isStoreError, StoreError } from '../errors.js';
import type { ChainId, ImageId } from '../model/digest.js';
import type { Layer, LayerGetReleaser, LayerMetadata } from './store.js';

/**
 * The layers that images hold in a layer store kept elsewhere: one hold for each image with layers, as
 * Docker's image store takes them.
 */
export class HeldLayers {
  readonly #layers: LayerGetReleaser;
  readonly #held = new Map<ImageId, Layer>();

  constructor(layers: LayerGetReleaser) {
    this.#layers = layers;
  }

  /**
   * Takes a hold on a chain, not yet for an image.
   * @throws {StoreError} LAYER_MISSING, with whatever the layer store threw as its cause
   */
  async take(chainId: ChainId): Promise<Layer> {
    try {
      return await this.#layers.get(chainId);
    } catch (cause) {
      throw new StoreError(
        'LAYER_MISSING',
        `the image needs the layer chain ${chainId}, which the layer store does not give`,
        {
          cause,
          data: { chainId },
        },
      );
    }
  }

  /** Takes the image's hold on a chain, if the layer store gives it. */
  async tryTake(id: ImageId, chainId: ChainId): Promise<boolean> {
    try {
      this.assign(id, await this.take(chainId));
      return true;
    } catch (error) {
      if (isStoreError(error, 'LAYER_MISSING')) return false;
      throw error;
    }
  }

  /** Whether the image holds a layer. */
  has(id: ImageId): boolean {
    return this.#held.has(id);
  }

  /** Makes a hold that was taken the image's. */
  assign(id: ImageId, layer: Layer): void {
    this.#held.set(id, layer);
  }

  /** Gives a hold back that no image got. */
  async giveBack(layer: Layer): Promise<void> {
    await this.#layers.release(layer);
  }

  /** Gives up the image's hold; returns the layers that went with it. */
  async release(id: ImageId): Promise<readonly LayerMetadata[]> {
    const layer = this.#held.get(id);
    if (layer === undefined) return [];
    this.#held.delete(id);
    return this.#layers.release(layer);
  }
}
