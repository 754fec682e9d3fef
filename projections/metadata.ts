import type { ImageId } from '../src/model/digest.js';
import type { StoredProjection } from './projection.js';
import { readRows, writeList, writeRows } from './snapshot-format.js';

/** Metadata by image and key; images without any are absent. */
type MetadataView = Map<ImageId, Map<string, Uint8Array>>;

/** Folds events into `MetadataView`. */
export const metadataProjection: StoredProjection<MetadataView> = {
  name: 'metadata',
  version: 1,
  folds: ['MetadataSet', 'MetadataCleared', 'ImageDeleted'],
  initial: () => new Map(),
  evolve(view, event) {
    switch (event.type) {
      case 'MetadataSet': {
        const values = view.get(event.image);
        // Copied: subscribers get the same event, and may modify its bytes.
        const value = new Uint8Array(event.value);
        if (values === undefined) view.set(event.image, new Map([[event.key, value]]));
        else values.set(event.key, value);
        break;
      }
      case 'MetadataCleared': {
        const values = view.get(event.image);
        values?.delete(event.key);
        if (values?.size === 0) view.delete(event.image);
        break;
      }
      case 'ImageDeleted':
        view.delete(event.image);
        break;
      default:
    }
    return view;
  },
  encode(view) {
    // Maps change in place; values never do.
    const [images, counts, values]: [ImageId[], number[], [string, Uint8Array][]] = [[], [], []];
    for (const [image, ofImage] of view) {
      images.push(image);
      counts.push(ofImage.size);
      for (const value of ofImage) values.push(value);
    }
    return (out) => {
      let start = 0;
      return writeRows(out, images, (image, index) => {
        const end = start + (counts[index] ?? 0);
        out.digest(image);
        writeList(out, values.slice(start, end), ([key, value]) => {
          out.word(key);
          out.bytes(value);
        });
        start = end;
      });
    };
  },
  decode(input) {
    const view: MetadataView = new Map();
    readRows(input, () => {
      const image: ImageId = input.digest();
      const values = new Map<string, Uint8Array>();
      readRows(input, () => void values.set(input.word(), input.bytes()));
      view.set(image, values);
    });
    return view;
  },
};
