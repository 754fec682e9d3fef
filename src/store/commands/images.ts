import { StoreError } from '../../errors.js';
import { MAX_CONFIG_BYTES, MAX_LAYERS_PER_IMAGE } from '../../limits.js';
import { type ChainId, type ImageId, isDigest } from '../../model/digest.js';
import type { EventBody, ReferenceRemoved, ReferenceSet } from '../../model/events.js';
import { checkHistory, checkOS, type Image } from '../../model/image.js';
import type { LayerMetadata } from '../store.js';
import { type Decide, type DecisionState, needImage, unchanged } from './decision.js';
import { removeArtifacts } from './artifacts.js';
import { annotationsOf } from './tag.js';
import { removeUnusedLayers } from './layers.js';

/** Which images a store accepts. */
export interface ImagePolicy {
  /** The only operating system images with layers may be for; undefined accepts all. */
  readonly os: string | undefined;
  /** Whether an image's chain must be a layer of this store. */
  readonly needsLayers: boolean;
}

/** An incoming image: its config as bytes and parsed. */
interface NewImage {
  readonly id: ImageId;
  readonly config: Uint8Array;
  readonly image: Image;
}

/**
 * Decides `create`; no-op for an existing image.
 * @throws {StoreError} what `checkImage` throws; as a decision, LAYER_MISSING
 */
export function decideCreate(incoming: NewImage, policy: ImagePolicy): Decide<ImageId> {
  checkImage(incoming, policy);
  return (state) => {
    if (state.image(incoming.id) !== undefined) return unchanged(incoming.id);
    const chainId = chainOf(incoming.image);
    if (policy.needsLayers && chainId !== undefined) needLayer(state, chainId);
    return {
      events: [imageCreated(incoming)],
      content: new Map([[incoming.id, incoming.config]]),
      result: incoming.id,
    };
  };
}

/**
 * Checks everything about an image that does not depend on the store.
 * @throws {StoreError} CONFIG_TOO_LARGE, HISTORY_INVALID, CONFIG_INVALID for more than
 *   MAX_LAYERS_PER_IMAGE layers, DIGEST_INVALID, OS_UNSUPPORTED
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
        `the image config names the layer ${JSON.stringify(diffId)}, which is not a digest`,
        { data: { diffId } },
      );
    }
  }
  if (policy.os !== undefined && diffIds.length > 0) checkOS(image.operatingSystem(), policy.os);
}

/** Returns the event of a new image. */
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

/** Returns the chain of an image's layers; undefined without layers. */
export function chainOf(image: Image): ChainId | undefined {
  const chainId = image.rootFS.chainID();
  return chainId === '' ? undefined : (chainId as ChainId);
}

function needLayer(state: DecisionState, chainId: ChainId): void {
  if (state.layer(chainId) !== undefined) return;
  throw new StoreError('LAYER_MISSING', `the image needs the layer ${chainId}, which is not in the store`, {
    data: { chainId },
  });
}

/**
 * Decides `delete`: clears the children's parent, removes references, the image, then the layers
 * nothing else needs. Throws IMAGE_NOT_FOUND; with `onlyNames` also IMAGE_IN_USE.
 */
export function decideDelete(id: ImageId, onlyNames?: readonly string[]): Decide<readonly LayerMetadata[]> {
  return (state) => {
    const { chainId } = needImage(state, id);
    if (onlyNames !== undefined) refuseUsed(state, id, onlyNames);
    const parent = state.parent(id);
    const cleared = state
      .children(id)
      .sort()
      .map((child): EventBody => ({ type: 'ParentCleared', image: child, parent: id }));
    const named = state.referencesOf(id).map((reference) => withoutImage(state, reference, id));
    const references = named.flatMap((event) =>
      event.type === 'ReferenceRemoved' ? (state.reference(event.reference) ?? []) : [],
    );
    const artifacts = removeArtifacts(state, { images: [id], references });
    const deleted: EventBody = { type: 'ImageDeleted', image: id, parent, chainId };
    const events = [...cleared, ...named, deleted, ...artifacts];
    if (chainId === undefined) return { events, result: [] };
    const removed = removeUnusedLayers(state, chainId);
    return { events: [...events, ...removed.events], result: removed.layers };
  };
}

function refuseUsed(state: DecisionState, id: ImageId, onlyNames: readonly string[]): void {
  const other = state.referencesOf(id).find((reference) => !onlyNames.includes(reference));
  const [child] = state.children(id);
  if (other === undefined && child === undefined) return;
  const why = other === undefined ? `${child} was made from it` : `it has the reference ${other}`;
  throw new StoreError('IMAGE_IN_USE', `cannot remove the image ${id}: ${why}`, { data: { image: id } });
}

// A multi-platform reference may lose one platform and keep the others.
function withoutImage(state: DecisionState, reference: string, id: ImageId): ReferenceSet | ReferenceRemoved {
  const entry = state.reference(reference);
  const left = entry?.platforms?.filter(({ image }) => image !== id) ?? [];
  const next = left[0];
  if (entry === undefined || next === undefined) {
    return { type: 'ReferenceRemoved', reference, image: entry?.image ?? id, platforms: entry?.platforms };
  }
  return {
    type: 'ReferenceSet',
    reference,
    image: entry.image === id ? next.image : entry.image,
    previous: entry.image,
    target: entry.target,
    platforms: left,
    previousPlatforms: entry.platforms,
    ...annotationsOf(entry),
  };
}
