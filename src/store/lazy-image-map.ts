import type { ImageIds } from '../../projections/image-ids.js';
import type { ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';

/**
 * The images of some ids, in order; each is read when it is asked for. The ids are those of
 * the moment when the map was made.
 */
export class LazyImageMap implements ReadonlyMap<ImageId, Image> {
  readonly #ids: ImageIds;
  readonly #read: (id: ImageId) => Image;

  constructor(ids: ImageIds, read: (id: ImageId) => Image) {
    this.#ids = ids;
    this.#read = read;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: ImageId): boolean {
    return this.#ids.has(id);
  }

  get(id: ImageId): Image | undefined {
    return this.has(id) ? this.#read(id) : undefined;
  }

  keys(): MapIterator<ImageId> {
    return this.#ids[Symbol.iterator]();
  }

  *values(): MapIterator<Image> {
    for (const id of this.#ids) yield this.#read(id);
  }

  *entries(): MapIterator<[ImageId, Image]> {
    for (const id of this.#ids) yield [id, this.#read(id)];
  }

  [Symbol.iterator](): MapIterator<[ImageId, Image]> {
    return this.entries();
  }

  forEach(visit: (image: Image, id: ImageId, map: ReadonlyMap<ImageId, Image>) => void, thisArg?: unknown): void {
    for (const [id, image] of this) visit.call(thisArg, image, id, this);
  }
}
