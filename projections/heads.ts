import type { ImageId } from '../src/model/digest.js';
import type { ChildrenView } from './children.js';

/**
 * Returns the images that are nobody's parent, in the order of creation. Heads are what the children
 * view says of parents, so they have no fold of their own; asking costs a walk over all images.
 */
export function headsOf(view: ChildrenView): ImageId[] {
  return [...view.childless()];
}
