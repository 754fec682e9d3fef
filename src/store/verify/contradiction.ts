import { hasChildren, parentOf } from '../../../projections/children.js';
import { imagesOf } from '../../../projections/references.js';
import type { Views } from '../../../projections/store-projections.js';
import type { Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts, PlatformImage, StoredEvent } from '../../model/events.js';

/**
 * Returns what is wrong with `event` after the events that `views` have folded, in words that go on after "event 12"; undefined when
 * it can be. So every image has the parent, every reference the images and every layer the layer below that it needs, at
 * every event of the log.
 */
export function contradictionOf(views: Views, event: StoredEvent): string | undefined {
  switch (event.type) {
    case 'ImageCreated':
      return views.images.has(event.image) ? `creates the image ${event.image}, which is there` : undefined;
    case 'ImageDeleted':
      return deletionFault(views, event);
    case 'ParentSet':
      return (
        lacking(views, event.image) ??
        lacking(views, event.parent) ??
        differing('the parent before', parentOf(views.images, event.image), event.previous)
      );
    case 'ParentCleared':
      return differing('the parent', parentOf(views.images, event.image), event.parent);
    case 'MetadataSet':
    case 'ManifestAdded':
      return lacking(views, event.image);
    case 'MetadataCleared':
      return views.metadata.get(event.image)?.has(event.key) === true
        ? undefined
        : `clears the metadata ${event.key} of the image ${event.image}, which has none`;
    case 'ReferenceSet':
      return referenceFault(views, event);
    case 'ReferenceRemoved':
      return differing('the image of the reference', views.references.byName.get(event.reference)?.image, event.image);
    case 'LayerAdded':
      return additionFault(views, event);
    case 'LayerRemoved':
      return removalFault(views, event);
    case 'ContentErased':
      return isInUse(views, event.digest) ? `erases ${event.digest}, which is in use` : undefined;
  }
}

function deletionFault(
  views: Views,
  { image, parent, chainId }: StoredEvent & { type: 'ImageDeleted' },
): string | undefined {
  const entry = views.images.get(image);
  if (entry === undefined) return lacking(views, image);
  if (hasChildren(views.images, image)) return `deletes the image ${image}, which still has children`;
  if (views.references.byImage.has(image)) return `deletes the image ${image}, which still has references`;
  return (
    differing('the parent', parentOf(views.images, image), parent) ?? differing('the chain', entry.chainId, chainId)
  );
}

function referenceFault(views: Views, event: StoredEvent & { type: 'ReferenceSet' }): string | undefined {
  for (const image of imagesOf(event)) {
    const fault = lacking(views, image);
    if (fault !== undefined) return fault;
  }
  const before = views.references.byName.get(event.reference);
  return (
    differing('the image before', before?.image, event.previous) ??
    differing('the platforms before', platformsText(before?.platforms), platformsText(event.previousPlatforms))
  );
}

function additionFault({ layers }: Views, { chainId, parent }: LayerFacts): string | undefined {
  if (layers.byChain.has(chainId)) return `adds the layer ${chainId}, which is there`;
  if (parent === undefined || layers.byChain.has(parent)) return undefined;
  return `adds the layer ${chainId} on top of ${parent}, which is not there`;
}

function removalFault({ layers, images }: Views, { chainId, blob }: LayerFacts): string | undefined {
  const facts = layers.byChain.get(chainId);
  if (facts === undefined) return `removes the layer ${chainId}, which is not there`;
  if (layers.childrenOf.has(chainId)) return `removes the layer ${chainId}, which others stand on`;
  if (images.usesOfChain(chainId) > 0) return `removes the layer ${chainId}, which images need`;
  return differing('the blob', facts.blob.digest, blob.digest);
}

function isInUse({ images, blobs }: Views, digest: Digest): boolean {
  return images.has(digest as ImageId) || blobs.byDigest.has(digest);
}

function lacking({ images }: Views, image: ImageId): string | undefined {
  return images.has(image) ? undefined : `is about the image ${image}, which is not there`;
}

function differing(what: string, is: string | undefined, said: string | undefined): string | undefined {
  return is === said ? undefined : `says that ${what} is ${said ?? 'none'}, and it is ${is ?? 'none'}`;
}

function platformsText(platforms: readonly PlatformImage[] | undefined): string | undefined {
  return platforms?.map(({ image }) => image).join(', ');
}
