import { BehaviorSubject, type Observable, scan } from 'rxjs';
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
}

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
  pages$.pipe(scan((view, page) => foldPage(projection, view, page), view$.value)).subscribe(view$);
  return {
    get current() {
      return view$.value;
    },
    view$: view$.asObservable(),
  };
}

/** Returns `view` with the events of `page` folded in, in order. */
export function foldPage<View>(projection: Projection<View>, view: View, page: Page): View {
  let folded = view;
  for (const event of page) folded = projection.evolve(folded, event);
  return folded;
}
