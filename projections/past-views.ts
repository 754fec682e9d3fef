import { StoreError } from '../src/errors.js';
import { foldPage, type Page } from './live-view.js';
import { SnapshotDamage } from './snapshot-damage.js';
import { storeProjections, type ViewName, type Views, viewNames } from './store-projections.js';
import type { EncodedViews } from './views-codec.js';

/**
 * Returns views of one moment that nothing folds into any more: those of a snapshot, or of the empty log, with `pages` folded
 * in. Each is made when it is first asked for, since a question at the past needs one or two of them. What is read of a
 * snapshot that was damaged before its checksum was made throws CONTENT_CORRUPT.
 */
export function pastViews(start: EncodedViews | undefined, pages: readonly Page[]): Views {
  const views = {} as Views;
  for (const name of viewNames) {
    Object.defineProperty(views, name, {
      enumerable: true,
      configurable: true,
      get() {
        const view = pastView(name, start, pages);
        Object.defineProperty(views, name, { value: view, enumerable: true });
        return view;
      },
    });
  }
  return views;
}

function pastView<Name extends ViewName>(
  name: Name,
  start: EncodedViews | undefined,
  pages: readonly Page[],
): Views[Name] {
  const projection = storeProjections[name];
  let view = start === undefined ? projection.initial() : decoded(start, name);
  for (const page of pages) view = foldPage(projection, view, page);
  return view;
}

function decoded<Name extends ViewName>(start: EncodedViews, name: Name): Views[Name] {
  try {
    return start.decode(name);
  } catch (cause) {
    if (!(cause instanceof SnapshotDamage)) throw cause;
    throw new StoreError('CONTENT_CORRUPT', `the view ${name} of a snapshot is damaged: ${cause.message}`, { cause });
  }
}
