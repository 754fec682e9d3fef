import { BehaviorSubject, finalize, map, merge, type Observable, scan, Subject } from 'rxjs';
import type { StoredEvent } from '../src/model/events.js';
import type { Projection } from './projection.js';

/** Durable events in order, a page at a time: of a replay, or of one group of commands. */
export type Page = readonly StoredEvent[];

/** A view that follows a stream of pages. */
export interface LiveView<View> {
  /** The view with every page that was emitted folded in. */
  readonly current: View;
  /** The current view, then the view after each page. */
  readonly view$: Observable<View>;
  /** Puts `view`, which is then its own, in the place of the current one: the pages to come are folded into that. */
  replace(view: View): void;
}

/** What a page, or another view in its place, makes of a view. */
type Change<View> = (view: View) => View;

/**
 * Returns the view of `projection` over `pages$`, folded as pages are emitted into `start`, which is then its own. The
 * same pipeline serves a replay and the live feed.
 */
export function followPages<View>(
  projection: Projection<View>,
  pages$: Observable<Page>,
  start: View = projection.initial(),
): LiveView<View> {
  const view$ = new BehaviorSubject(start);
  const others$ = new Subject<View>();
  const folds$ = pages$.pipe(
    finalize(() => others$.complete()),
    map(
      (page): Change<View> =>
        (view) =>
          foldPage(projection, view, page),
    ),
  );
  const replacements$ = others$.pipe(
    map(
      (other): Change<View> =>
        () =>
          other,
    ),
  );
  merge(folds$, replacements$)
    .pipe(scan((view, change) => change(view), start))
    .subscribe(view$);
  return {
    get current() {
      return view$.value;
    },
    view$: view$.asObservable(),
    replace: (view) => others$.next(view),
  };
}

/** Returns `view` with the events of `page` folded in, in order. */
export function foldPage<View>(projection: Projection<View>, view: View, page: Page): View {
  let folded = view;
  for (const event of page) folded = projection.evolve(folded, event);
  return folded;
}
