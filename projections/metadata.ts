import type { ImageId } from '../src/model/digest.js';
import type { Projection } from './projection.js';

/** Metadata of every image that has some, by key. */
export type MetadataView = Map<ImageId, Map<string, Uint8Array>>;

export const metadataProjection: Projection<MetadataView> = {
  name: 'metadata',
  version: 1,
  initial: () => new Map(),
  evolve(view, event) {
    switch (event.type) {
      case 'MetadataSet': {
        const values = view.get(event.image);
        // Subscribers get the same event, and may write into its bytes.
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
};
