import { parentOf } from '../../projections/children.js';
import type { Views } from '../../projections/views.js';
import type { ImageId } from '../model/digest.js';
import { mustBeString } from './argument-types.js';
import { checkMetadataKey, metadataNotFound, PARENT_KEY } from './decide/metadata.js';
import { imageNotFound } from './decide/need.js';

/**
 * Returns a copy of the value that an image has under `key`; the key `parent` is its parent, as in Docker's layout.
 * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID
 */
export function storedMetadata(views: Views, id: ImageId, key: string): Uint8Array {
  mustBeString('key', key);
  if (!views.images.has(id)) throw imageNotFound(id);
  checkMetadataKey(key);
  const value = findMetadata(views, id, key);
  if (value === undefined) throw metadataNotFound(id, key);
  return new Uint8Array(value);
}

/** Returns the value that an image has under `key`, which is the view's own; undefined when it has none. */
export function findMetadata(views: Views, id: ImageId, key: string): Uint8Array | undefined {
  if (key !== PARENT_KEY) return views.metadata.get(id)?.get(key);
  const parent = parentOf(views.images, id);
  return parent === undefined ? undefined : new TextEncoder().encode(parent);
}
