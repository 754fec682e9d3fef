import { StoreError } from '../../errors.js';
import { MAX_METADATA_KEY_BYTES } from '../../limits.js';
import type { ImageId } from '../../model/digest.js';
import { parseTimestamp } from '../../model/timestamp.js';
import { mustBeString } from '../argument-types.js';
import type { Decide } from './decision.js';
import { needImage } from './need.js';

/** Keys that Docker's image store keeps for itself. */
export const LAST_UPDATED_KEY = 'lastUpdated';
export const BUILT_LOCALLY_KEY = 'builtLocally';
export const PARENT_KEY = 'parent';

// The key is a file name in Docker's layout.
const METADATA_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Decides `setMetadata`. Throws IMAGE_NOT_FOUND, METADATA_INVALID: the parent has a command of its own, and the time
 * of the last update must be one, for every reader of the image takes it for one.
 */
export function decideSetMetadata(id: ImageId, key: string, value: Uint8Array): Decide<void> {
  mustBeString('id', id);
  checkMetadataKey(key);
  if (!(value instanceof Uint8Array)) throw new TypeError('the value of metadata must be a Uint8Array');
  if (key === PARENT_KEY)
    throw new StoreError('METADATA_INVALID', `the parent of ${id} is set by setParent, not as metadata`);
  if (key === LAST_UPDATED_KEY) checkTime(value);
  // The caller may reuse its buffer while the command waits.
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

/** Returns the error of a look for metadata that is not there. */
export function metadataNotFound(id: string, key: string): StoreError {
  return new StoreError('METADATA_NOT_FOUND', `the image ${id} has no metadata ${JSON.stringify(key)}`, {
    data: { image: id, key },
  });
}

/**
 * Refuses a key that could not be a file name.
 * @throws {StoreError} METADATA_INVALID
 */
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
