import { StoreError } from '../errors.js';
import { sameHistory } from './history.js';
import type { Image } from './image.js';

/**
 * Returns when the history of `image` can be that of its layers: at most one entry that added a layer for each diff id.
 * @throws {StoreError} HISTORY_INVALID when there are more
 */
export function checkHistory(image: Pick<Image, 'history' | 'rootFS'>): void {
  const steps = image.history.filter((entry) => !entry.emptyLayer).length;
  const layers = image.rootFS.diffIds.length;
  if (steps <= layers) return;
  const message = `too many non-empty layers in the image's history: expected at most ${layers}, found ${steps}`;
  throw new StoreError('HISTORY_INVALID', message, { data: { layers, steps } });
}

/**
 * Whether `child` can have been built from `parent`: the parent's history is the beginning of the child's, which
 * goes on, and so are its diff ids, which need not; or neither has a history.
 * Docker's loader wants exactly one more history entry; archives that it wrote itself have more.
 */
export function isValidParent(
  child: Pick<Image, 'history' | 'rootFS'>,
  parent: Pick<Image, 'history' | 'rootFS'>,
): boolean {
  if (child.history.length === 0 && parent.history.length === 0) return true;
  if (parent.history.length >= child.history.length) return false;
  return (
    parent.history.every((entry, at) => {
      const other = child.history[at];
      return other !== undefined && sameHistory(entry, other);
    }) && parent.rootFS.diffIds.every((diffId, at) => diffId === child.rootFS.diffIds[at])
  );
}
