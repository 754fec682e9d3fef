import type { ImageId } from './digest.js';
import { type Image, identifiedImage, withParent } from './image.js';

/**
 * The config of an image in a store: its bytes, and what they say, decoded when somebody asks and then kept. Several images may
 * stand on it, those of all who asked for one id: nothing that it gives can be changed.
 */
export class StoredConfig {
  readonly #bytes: Uint8Array;
  #image: Image | undefined;

  /** Keeps `bytes`, which must not be changed. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes of the config. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Returns the bytes, a copy. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  /**
   * Returns the image called `id` that the config says, with the parent that the store knows. What it answers with is frozen, but for
   * the bytes of `marshalJSON`, and of `rawJSON`: those are shared.
   * @throws {StoreError} CONFIG_INVALID when the bytes were never an image
   */
  image(id: ImageId, parent: ImageId | undefined): Image {
    // Its parent in the past may be another than now.
    if (this.#image === undefined) this.#image = frozen(identifiedImage(this.#bytes, id, parent));
    else if (this.#image.parent !== (parent ?? '')) this.#image = Object.freeze(withParent(this.#image, parent));
    return this.#image;
  }
}

function frozen(image: Image): Image {
  const { containerConfig, config, history, osFeatures, rootFS } = image;
  for (const part of [containerConfig, config, history, osFeatures, rootFS, rootFS.diffIds]) freezeWhole(part);
  return Object.freeze(image);
}

function freezeWhole(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeWhole(part);
}
