import type { ChainId, ImageId } from '../../../src/model/digest.js';
import type { EventBody } from '../../../src/model/events.js';

/** An image in the store with its current state. */
export class LiveImage {
  readonly id: ImageId;
  readonly chainId: ChainId;
  parent: LiveImage | undefined;
  readonly children = new Set<LiveImage>();
  readonly references = new Set<string>();
  readonly metadataKeys = new Set<string>();

  constructor(id: ImageId, chainId: ChainId) {
    this.id = id;
    this.chainId = chainId;
  }
}

/** Store state for filling in previous values. Methods return a command's events, if any. */
export class LifeState {
  readonly #byReference = new Map<string, LiveImage>();

  setParent(image: LiveImage, parent: LiveImage): EventBody[] {
    const previous = image.parent;
    if (previous === parent) return [];
    previous?.children.delete(image);
    image.parent = parent;
    parent.children.add(image);
    return [{ type: 'ParentSet', image: image.id, parent: parent.id, previous: previous?.id }];
  }

  point(reference: string, image: LiveImage): EventBody[] {
    const previous = this.#byReference.get(reference);
    if (previous === image) return [];
    previous?.references.delete(reference);
    image.references.add(reference);
    this.#byReference.set(reference, image);
    return [{ type: 'ReferenceSet', reference, image: image.id, previous: previous?.id }];
  }

  removeReference(reference: string): EventBody[] {
    const image = this.#byReference.get(reference);
    if (image === undefined) return [];
    image.references.delete(reference);
    this.#byReference.delete(reference);
    return [{ type: 'ReferenceRemoved', reference, image: image.id }];
  }

  setMetadata(image: LiveImage, key: string, value: Uint8Array): EventBody[] {
    image.metadataKeys.add(key);
    return [{ type: 'MetadataSet', image: image.id, key, value }];
  }

  clearMetadata(image: LiveImage, key: string): EventBody[] {
    if (!image.metadataKeys.delete(key)) return [];
    return [{ type: 'MetadataCleared', image: image.id, key }];
  }

  delete(image: LiveImage): EventBody[] {
    const cleared: EventBody[] = [...image.children].map((child) => {
      child.parent = undefined;
      return { type: 'ParentCleared', image: child.id, parent: image.id };
    });
    const removed = [...image.references].flatMap((reference) => this.removeReference(reference));
    image.parent?.children.delete(image);
    const { id, chainId, parent } = image;
    return [...cleared, ...removed, { type: 'ImageDeleted', image: id, parent: parent?.id, chainId }];
  }
}
