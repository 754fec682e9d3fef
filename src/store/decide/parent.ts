import { StoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import { type Decide, unchanged } from './decision.js';
import { needImage } from './need.js';

/**
 * Decides `setParent`. Throws PARENT_NOT_FOUND, IMAGE_NOT_FOUND for the child, PARENT_CYCLE when the parent
 * is the image itself or descends from it.
 */
export function decideSetParent(id: ImageId, parent: ImageId): Decide<void> {
  return (state) => {
    if (state.image(parent) === undefined) {
      throw new StoreError('PARENT_NOT_FOUND', `cannot set the parent of ${id}: no image ${parent}`, {
        data: { image: id, parent },
      });
    }
    needImage(state, id);
    const previous = state.parent(id);
    if (previous === parent) return unchanged(undefined);
    // An image without children is nobody's ancestor: building a long line from its root up stays cheap.
    if (parent === id || (state.hasChildren(id) && descendsFrom(parent, id, (at) => state.parent(at)))) {
      throw new StoreError('PARENT_CYCLE', `cannot make ${parent} the parent of ${id}: it descends from that image`, {
        data: { image: id, parent },
      });
    }
    return { events: [{ type: 'ParentSet', image: id, parent, previous }], result: undefined };
  };
}

/** Decides the removal of a parent. Throws IMAGE_NOT_FOUND, METADATA_NOT_FOUND when there is none. */
export function decideClearParent(id: ImageId): Decide<void> {
  return (state) => {
    needImage(state, id);
    const parent = state.parent(id);
    if (parent === undefined) throw noParent(id);
    return { events: [{ type: 'ParentCleared', image: id, parent }], result: undefined };
  };
}

/** Returns the error of a look for a parent that is not there. */
export function noParent(id: ImageId): StoreError {
  return new StoreError('METADATA_NOT_FOUND', `the image ${id} has no parent`, { data: { image: id, key: 'parent' } });
}

/**
 * Whether `id` is `ancestor` or one of its descendants, where `parentOf` gives the parent of each image.
 * @throws {StoreError} INTERNAL when the parents run in a circle
 */
export function descendsFrom(id: ImageId, ancestor: ImageId, parentOf: (id: ImageId) => ImageId | undefined): boolean {
  const seen = new Set<ImageId>();
  for (let at: ImageId | undefined = id; at !== undefined; at = parentOf(at)) {
    if (at === ancestor) return true;
    if (seen.has(at)) throw new StoreError('INTERNAL', `the image ${at} is its own ancestor`, { data: { image: at } });
    seen.add(at);
  }
  return false;
}
