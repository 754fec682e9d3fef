import type { Views } from '../../../projections/views.js';
import type { Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';

/** What needs some content or a blob. */
export interface ContentUsers {
  /** Images whose config it is, or that came with a manifest which it is or names. */
  readonly images: readonly ImageId[];
  /** References that stand for it. */
  readonly references: readonly string[];
  /** Layers whose blob it is. */
  readonly layers: readonly LayerFacts[];
}

/** Returns what needs `digest`. Costs a walk over manifests, references and layers. */
export function usersOf({ images, manifests, references, layers }: Views, digest: Digest): ContentUsers {
  const users = new Set<ImageId>();
  if (images.has(digest as ImageId)) users.add(digest as ImageId);
  for (const [image, entries] of manifests) {
    const isNamed = entries.some(
      ({ manifest, layers: blobs }) => manifest.digest === digest || blobs.some((blob) => blob.digest === digest),
    );
    if (isNamed) users.add(image);
  }
  return {
    images: [...users],
    references: [...references.byName.values()]
      .filter(({ target }) => target?.digest === digest)
      .map(({ reference }) => reference)
      .sort(),
    layers: [...layers.byChain.values()].filter(({ blob }) => blob.digest === digest),
  };
}

/** Gives the configs, manifests and indexes that a store with these views needs; some more than once. */
export function* neededContent({ images, manifests, references }: Pick<Views, 'images' | 'manifests' | 'references'>) {
  yield* images.ids() as Iterable<Digest>;
  for (const entries of manifests.values()) for (const { manifest } of entries) yield manifest.digest;
  for (const { target } of references.byName.values()) if (target !== undefined) yield target.digest;
}
