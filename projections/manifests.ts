import type { ImageId } from '../src/model/digest.js';
import type { Descriptor } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './descriptor-codec.js';
import type { StoredProjection } from './projection.js';
import { readList, readRows, writeList, writeRows } from './snapshot-rows.js';

/** A manifest that an image came with. */
export interface ManifestEntry {
  readonly manifest: Descriptor;
  /** Its layer blobs, from the bottom up. */
  readonly layers: readonly Descriptor[];
}

/** The manifests of every image that came with one, the first one first. */
export type ManifestsView = Map<ImageId, readonly ManifestEntry[]>;

export const manifestsProjection: StoredProjection<ManifestsView> = {
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
  encode(view) {
    const images = [...view];
    return (out) =>
      writeRows(out, images, ([image, entries]) => {
        out.digest(image);
        writeList(out, entries, ({ manifest, layers }) => {
          writeDescriptor(out, manifest);
          writeList(out, layers, (layer) => writeDescriptor(out, layer));
        });
      });
  },
  decode(input) {
    const view: ManifestsView = new Map();
    const readOne = (): Descriptor => readDescriptor(input);
    const readEntry = (): ManifestEntry => ({ manifest: readOne(), layers: readList(input, readOne) });
    readRows(input, () => void view.set(input.digest(), readList(input, readEntry)));
    return view;
  },
};
