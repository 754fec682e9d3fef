import type { SearchView } from '../../projections/search.js';
import type { Views } from '../../projections/store-projections.js';
import { isStoreError } from '../../src/errors.js';
import type { ImageId } from '../../src/model/digest.js';

/** Views as plain values that can be compared, each Map in its own order. */
export function plainViews({
  images,
  children,
  search,
  references,
  layers,
  manifests,
  blobs,
  metadata,
  erasures,
}: Views): unknown {
  const ids = [...images.byId.keys()];
  return {
    images: [...images.byId],
    uses: [...images.usesOfChain],
    created: [...children.ids()],
    children: ids.map((id) => [id, children.parent(id), children.children(id).sort()]),
    childless: [...children.childless()],
    found: ids.map((id) => foundBy(search, id)),
    names: [...references.byName],
    named: [...references.byImage].map(([id, names]) => [id, [...names]]),
    layers: [...layers.byChain],
    stacked: [...layers.childrenOf],
    manifests: [...manifests],
    blobs: [...blobs.byDigest],
    blobsOf: [...blobs.ofImage],
    metadata: [...metadata].map(([id, values]) => [id, [...values]]),
    erasures: [...erasures],
  };
}

/** What a search finds for the whole id, and for some of its first digits. */
function foundBy(search: SearchView, id: ImageId): unknown[] {
  return [id, id.slice('sha256:'.length, 12), id.slice('sha256:'.length, 8)].map((term) => {
    try {
      return search.find(term);
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return error.data;
    }
  });
}
