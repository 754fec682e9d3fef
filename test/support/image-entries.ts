import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { ReferenceEntry } from '../../src/store/store.js';

/** The references of a store that stand for images. */
export function imageEntries(
  store: Pick<EventStore, 'referenceEntries'>,
): (ReferenceEntry & { readonly image: ImageId })[] {
  return store.referenceEntries().flatMap((entry) => {
    const { image } = entry;
    return image === undefined ? [] : [{ ...entry, image }];
  });
}
