import type { ImageEntry } from '../../../projections/images-view.js';
import { StoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import type { DecisionState } from './decision.js';

/**
 * Returns the entry of an image that a command needs.
 * @throws {StoreError} IMAGE_NOT_FOUND
 */
export function needImage(state: Pick<DecisionState, 'image'>, id: ImageId): ImageEntry {
  const entry = state.image(id);
  if (entry === undefined) throw imageNotFound(id);
  return entry;
}

/** Returns the error of a look for an image that is not there. `id` may be anything that a caller passed. */
export function imageNotFound(id: string): StoreError {
  const shown = String(id).slice(0, 100);
  return new StoreError('IMAGE_NOT_FOUND', `no image ${shown}`, { data: { image: shown } });
}
