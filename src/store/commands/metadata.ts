import { StoreError } from '../../errors.js';
import { MAX_METADATA_KEY_BYTES } from '../../limits.js';
import type { ImageId } from '../../model/digest.js';
import { parseTimestamp } from '../../model/timestamp.js';
import { mustBeString } from '../argument-types.js';
import { type Decide, needImage, unchanged } from './decision.js';

/** Keys reserved by Docker's image store. */
export const LAST_UPDATED_KEY = 'lastUpdated';
export const BUILT_LOCALLY_KEY = 'builtLocally';
export const PARENT_KEY = 'parent';

// A key is a file name in Docker's layout.
const METADATA_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Decides `setMetadata`. Throws IMAGE_NOT_FOUND, METADATA_INVALID: the parent has its own command,
 * and the last update must be a valid time, as every reader of the image parses it.
 */
export function decideSetMetadata(id: ImageId, key: string, value: Uint8Array): Decide<void> {
  mustBeString('id', id);
  checkMetadataKey(key);
  if (!(value instanceof Uint8Array)) throw new TypeError('the value of metadata must be a Uint8Array');
  if (key === PARENT_KEY)
    throw new StoreError('METADATA_INVALID', `the parent of ${id} is set by setParent, not as metadata`);
  if (key === LAST_UPDATED_KEY) checkTime(value);
  // The caller may reuse its buffer while the command is queued.
  const bytes = new Uint8Array(value);
  return (state) => {
    needImage(state, id);
    return { events: [{ type: 'MetadataSet', image: id, key, value: bytes }], result: undefined };
  };
}

function checkTime(value: Uint8Array): void {
  try {
    parseTimestamp(new TextDecoder().decode(value));
  } catch (cause) {
    throw new StoreError('METADATA_INVALID', `the metadata ${LAST_UPDATED_KEY} must be an RFC 3339 time`, { cause });
  }
}

/** Decides `deleteMetadata`. Throws IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID. */
export function decideClearMetadata(id: ImageId, key: string): Decide<void> {
  checkMetadataKey(key);
  return (state) => {
    needImage(state, id);
    if (state.metadata(id, key) === undefined) throw metadataNotFound(id, key);
    return { events: [{ type: 'MetadataCleared', image: id, key }], result: undefined };
  };
}

/** Creates METADATA_NOT_FOUND. */
export function metadataNotFound(id: string, key: string): StoreError {
  return new StoreError('METADATA_NOT_FOUND', `the image ${id} has no metadata ${JSON.stringify(key)}`, {
    data: { image: id, key },
  });
}

/** Checks that a key could be a file name. @throws {StoreError} METADATA_INVALID */
export function checkMetadataKey(key: string): void {
  mustBeString('key', key);
  if (METADATA_KEY.test(key) && key.length <= MAX_METADATA_KEY_BYTES) return;
  throw new StoreError(
    'METADATA_INVALID',
    `the metadata key ${JSON.stringify(key.slice(0, 100))} is not allowed: expected a letter or digit, then letters, digits, ` +
      `dots, dashes or underscores, at most ${MAX_METADATA_KEY_BYTES} in all`,
    { data: { key: key.slice(0, 100) } },
  );
}

/**
 * Decides `setParent`. Throws PARENT_NOT_FOUND, IMAGE_NOT_FOUND for the child, PARENT_CYCLE when
 * the parent is the image itself or descends from it.
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
    // Only an image with children can be an ancestor: keeps building a long chain root first cheap.
    if (parent === id || (state.hasChildren(id) && descendsFrom(parent, id, (at) => state.parent(at)))) {
      throw new StoreError('PARENT_CYCLE', `cannot make ${parent} the parent of ${id}: it descends from that image`, {
        data: { image: id, parent },
      });
    }
    return { events: [{ type: 'ParentSet', image: id, parent, previous }], result: undefined };
  };
}

/** Decides removing a parent. Throws IMAGE_NOT_FOUND, METADATA_NOT_FOUND when there is none. */
export function decideClearParent(id: ImageId): Decide<void> {
  return (state) => {
    needImage(state, id);
    const parent = state.parent(id);
    if (parent === undefined) throw noParent(id);
    return { events: [{ type: 'ParentCleared', image: id, parent }], result: undefined };
  };
}

/** Creates METADATA_NOT_FOUND for an image without a parent. */
export function noParent(id: ImageId): StoreError {
  return new StoreError('METADATA_NOT_FOUND', `the image ${id} has no parent`, { data: { image: id, key: 'parent' } });
}

/**
 * Whether `id` is `ancestor` or a descendant of it, by `parentOf`.
 * @throws {StoreError} INTERNAL when the parents form a cycle
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
