import { childrenOf, hasChildren, headsOf, parentOf, searchImage } from '../../projections/images.js';
import type { ImagesView } from '../../projections/image-table.js';
import type { Views } from '../../projections/views.js';
import { isStoreError } from '../../src/errors.js';
import type { ImageId } from '../../src/model/digest.js';

/** Views as plain values that can be compared, each Map in its own order. */
export function plainViews({
  images,
  references,
  layers,
  manifests,
  blobs,
  metadata,
  erasures,
  artifacts,
}: Views): unknown {
  const ids = [...images.ids()];
  return {
    images: [...images],
    there: [images.size, ids.map((id) => [images.has(id), images.get(id)])],
    uses: [...images].map(([, { chainId }]) => chainId && images.usesOfChain(chainId)),
    parents: ids.map((id) => [id, parentOf(images, id), childrenOf(images, id), hasChildren(images, id)]),
    heads: [...headsOf(images)],
    found: ids.map((id) => foundBy(images, id)),
    names: [...references.byName],
    named: [...references.byImage].map(([id, names]) => [id, [...names]]),
    layers: [...layers.byChain],
    stacked: [...layers.childrenOf],
    manifests: [...manifests],
    blobs: [...blobs.byDigest],
    blobsOf: [...blobs.ofImage],
    metadata: [...metadata].map(([id, values]) => [id, [...values]]),
    erasures: [...erasures],
    targets: sorted(references.byTarget),
    artifacts: [...artifacts.byDigest],
    about: sorted(artifacts.bySubject),
    contained: sorted(artifacts.indexesOf),
  };
}

/** Sets by digest; which was first pointed at, and then by others, no view keeps. */
function sorted(sets: ReadonlyMap<string, ReadonlySet<string>>): unknown[] {
  return [...sets]
    .map(([key, values]) => [key, [...values].sort()])
    .sort(([one], [other]) => (String(one) < String(other) ? -1 : 1));
}

/** What a search finds for the whole id, and for some of its first digits. */
function foundBy(images: ImagesView, id: ImageId): unknown[] {
  return [id, id.slice('sha256:'.length, 12), id.slice('sha256:'.length, 8)].map((term) => {
    try {
      return searchImage(images, term);
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return error.data;
    }
  });
}
