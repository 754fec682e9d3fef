import { isStoreError, StoreError } from '../../errors.js';
import type { ChainId, ImageId } from '../../model/digest.js';
import { type Decide, unchanged } from '../decide/decision.js';
import type { Layer, LayerGetReleaser, LayerMetadata } from '../store.js';

/** An image that a command may create, and the chain that it holds then. */
export interface HoldingImage {
  readonly id: ImageId;
  readonly chainId: ChainId;
}

/** What a decision comes to that may lack holds: its own result, or the images that it cannot create without. */
export type HoldingAnswer<Result> = { readonly result: Result } | { readonly lacking: readonly HoldingImage[] };

/** Submits a command whose decision is passed through `holding` first. */
type Submit<Result> = (
  holding: (decide: Decide<Result>) => Decide<HoldingAnswer<Result>>,
) => Promise<HoldingAnswer<Result>>;

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

  /** Makes a hold that was taken the image's. */
  assign(id: ImageId, layer: Layer): void {
    this.#held.set(id, layer);
  }

  /**
   * Submits a command that may create `images`, with a hold taken on the chain of each that it does create. Afterwards
   * each hold is its image's, or is given back when no image needs it: also when the command's outcome is unknown and
   * its images are there.
   * @throws {StoreError} LAYER_MISSING, and what `submit` throws
   */
  async around<Result>(
    images: readonly HoldingImage[],
    hasImage: (id: ImageId) => boolean,
    submit: Submit<Result>,
  ): Promise<Result> {
    const taken = new Map<ImageId, Layer>();
    let result: Result;
    try {
      result = await this.#submitHolding(images, taken, submit);
    } catch (error) {
      // The command's own error is the one to tell.
      await this.#settle(taken, hasImage).catch(() => undefined);
      throw error;
    }
    await this.#settle(taken, hasImage);
    return result;
  }

  // Only the decision sees which images it creates: a deletion may wait ahead of it. It asks for the holds that it lacks.
  async #submitHolding<Result>(
    images: readonly HoldingImage[],
    taken: Map<ImageId, Layer>,
    submit: Submit<Result>,
  ): Promise<Result> {
    for (;;) {
      const answer = await submit((decide) => decideHolding(images, taken, decide));
      if ('result' in answer) return answer.result;
      for (const { id, chainId } of answer.lacking) taken.set(id, await this.take(chainId));
    }
  }

  // First all that images get, in one turn with the views; the layer store may take its time over the others.
  async #settle(taken: ReadonlyMap<ImageId, Layer>, hasImage: (id: ImageId) => boolean): Promise<void> {
    const spare: Layer[] = [];
    for (const [id, layer] of taken) {
      if (hasImage(id) && !this.#held.has(id)) this.assign(id, layer);
      else spare.push(layer);
    }
    const outcomes = await Promise.allSettled(spare.map(async (layer) => this.#layers.release(layer)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Gives up the image's hold; returns the layers that went with it. */
  async release(id: ImageId): Promise<readonly LayerMetadata[]> {
    const layer = this.#held.get(id);
    if (layer === undefined) return [];
    this.#held.delete(id);
    return this.#layers.release(layer);
  }
}

function decideHolding<Result>(
  images: readonly HoldingImage[],
  taken: ReadonlyMap<ImageId, Layer>,
  decide: Decide<Result>,
): Decide<HoldingAnswer<Result>> {
  return (state) => {
    const lacking = images.filter(({ id }) => !taken.has(id) && state.image(id) === undefined);
    if (lacking.length > 0) return unchanged({ lacking });
    const { events, content, result } = decide(state);
    return { events, content, result: { result } };
  };
}
