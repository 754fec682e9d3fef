import type { ImageIds } from './image-ids.js';
import type { ImagesView } from './images-view.js';

/** Returns the images that are nobody's parent as they are now, in the order of creation; asking costs a walk over all images. */
export function headsOf(images: ImagesView): ImageIds {
  return images.idsWhere((row) => !images.tree.hasChildren(row));
}
