import { type Observable, Subject } from 'rxjs';
import { followPages, type Page } from './live-view.js';
import { storeProjections, type ViewName, type Views, viewNames } from './store-projections.js';

export type { Views };

/** Views that fold what is given to them. */
export interface ViewSet {
  readonly views: Views;
  /** Folds a page of durable events into every view, before it returns. */
  fold(page: Page): void;
  /** Each page, after every view has folded it. */
  readonly folded$: Observable<Page>;
  /** Puts the views of `other` that are named, which are then its own, in the place of those that are here. */
  replace(other: Views, names: readonly ViewName[]): void;
  /** Ends `folded$`. */
  end(): void;
}

/** Returns the store's views, over an empty log or going on from `start`, which are then its own. */
export function createViews(start?: Views): ViewSet {
  const pages$ = new Subject<Page>();
  const folded$ = new Subject<Page>();
  const views = {} as Views;
  const replacers = new Map(viewNames.map((name) => [name, addView(views, name, pages$, start?.[name])]));
  return {
    views,
    fold(page) {
      // Subjects call their subscribers in turn and at once: when `next` returns, every view has the page.
      pages$.next(page);
      folded$.next(page);
    },
    folded$: folded$.asObservable(),
    replace(other, names) {
      for (const name of names) replacers.get(name)?.(other);
    },
    end() {
      pages$.complete();
      folded$.complete();
    },
  };
}

/** Returns what replaces the view. */
function addView<Name extends ViewName>(
  views: Views,
  name: Name,
  pages$: Observable<Page>,
  start: Views[Name] | undefined,
): (other: Views) => void {
  const live = followPages(storeProjections[name], pages$, start);
  Object.defineProperty(views, name, { get: () => live.current, enumerable: true });
  return (other) => live.replace(other[name]);
}
