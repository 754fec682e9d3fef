import type { ImageId } from '../src/model/digest.js';
import type { Descriptor } from '../src/model/events.js';
import type { Projection } from './projection.js';

/** A manifest that an image came with. */
export interface ManifestEntry {
  readonly manifest: Descriptor;
  /** Its layer blobs, from the bottom up. */
  readonly layers: readonly Descriptor[];
}

/** The manifests of every image that came with one, the first one first. */
export type ManifestsView = Map<ImageId, readonly ManifestEntry[]>;

export const manifestsProjection: Projection<ManifestsView> = {
  name: 'manifests',
  version: 1,
  initial: () => new Map(),
  evolve(view, event) {
    if (event.type === 'ManifestAdded') {
      const { image, manifest, layers } = event;
      view.set(image, [...(view.get(image) ?? []), { manifest, layers }]);
    } else if (event.type === 'ImageDeleted') {
      view.delete(event.image);
    }
    return view;
  },
};
