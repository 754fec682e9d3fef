import { StoreError } from '../../errors.js';
import { MAX_CONFIG_BYTES, MAX_LAYERS_PER_IMAGE } from '../../limits.js';
import { checkHistory, checkOS, type Image } from '../../model/image.js';
import { type ChainId, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import type { EventBody } from '../../model/events.js';
import { type Decide, type DecisionState, unchanged } from './decision.js';

/** Which images a store takes. */
export interface ImagePolicy {
  /** The only operating system that images with layers may be for; undefined takes all. */
  readonly os: string | undefined;
  /** Whether the chain of an image must be a layer of this store. */
  readonly needsLayers: boolean;
}

/** An image on its way in: its config as bytes and parsed. */
export interface NewImage {
  readonly id: ImageId;
  readonly config: Uint8Array;
  readonly image: Image;
}

/** What a create came to. */
interface Created {
  readonly id: ImageId;
  /** False when the store had the image already. */
  readonly created: boolean;
}

/**
 * Decides `create`: the image, unless it is there already.
 *
 * @throws {StoreError} what `checkImage` throws; as a decision, LAYER_MISSING
 */
export function decideCreate(incoming: NewImage, policy: ImagePolicy): Decide<Created> {
  checkImage(incoming, policy);
  return (state) => {
    if (state.image(incoming.id) !== undefined) return unchanged({ id: incoming.id, created: false });
    const chainId = chainOf(incoming.image);
    if (policy.needsLayers && chainId !== undefined) needLayer(state, chainId);
    return {
      events: [imageCreated(incoming)],
      content: contentOf(incoming),
      result: { id: incoming.id, created: true },
    };
  };
}

/**
 * Checks all of an image that does not depend on the store.
 * @throws {StoreError} CONFIG_TOO_LARGE, HISTORY_INVALID, CONFIG_INVALID for more than MAX_LAYERS_PER_IMAGE layers,
 * DIGEST_INVALID, OS_UNSUPPORTED
 */
export function checkImage({ config, image }: NewImage, policy: ImagePolicy): void {
  if (config.length > MAX_CONFIG_BYTES) {
    throw new StoreError(
      'CONFIG_TOO_LARGE',
      `the image config has ${config.length} bytes, at most ${MAX_CONFIG_BYTES} are allowed`,
      { data: { size: config.length, limit: MAX_CONFIG_BYTES } },
    );
  }
  checkHistory(image);
  const { diffIds } = image.rootFS;
  if (diffIds.length > MAX_LAYERS_PER_IMAGE) {
    throw new StoreError(
      'CONFIG_INVALID',
      `the image config names ${diffIds.length} layers, at most ${MAX_LAYERS_PER_IMAGE} are allowed`,
      { data: { layers: diffIds.length, limit: MAX_LAYERS_PER_IMAGE } },
    );
  }
  for (const diffId of diffIds) {
    if (!isDigest(diffId)) {
      throw new StoreError(
        'DIGEST_INVALID',
        `the image config names the layer ${JSON.stringify(diffId)}, which is no digest`,
        {
          data: { diffId },
        },
      );
    }
  }
  if (policy.os !== undefined && diffIds.length > 0) checkOS(image.operatingSystem(), policy.os);
}

/** Returns the event of an image becoming known. */
export function imageCreated({ id, config, image }: NewImage): EventBody {
  return {
    type: 'ImageCreated',
    image: id,
    size: config.length,
    chainId: chainOf(image),
    os: image.os,
    architecture: image.architecture,
    variant: image.variant === '' ? undefined : image.variant,
    created: image.created ?? undefined,
  };
}

/** Returns the chain of an image's layers; undefined when it has none. */
export function chainOf(image: Image): ChainId | undefined {
  const chainId = image.rootFS.chainID();
  return chainId === '' ? undefined : (chainId as ChainId);
}

function contentOf({ id, config }: NewImage): ReadonlyMap<Digest, Uint8Array> {
  return new Map([[id as Digest, config]]);
}

function needLayer(state: DecisionState, chainId: ChainId): void {
  if (state.layer(chainId) !== undefined) return;
  throw new StoreError('LAYER_MISSING', `the image needs the layer chain ${chainId}, which is not in the store`, {
    data: { chainId },
  });
}
