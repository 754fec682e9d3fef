import { BehaviorSubject, finalize, map, merge, type Observable, scan, Subject } from 'rxjs';
import type { StoredEvent } from '../src/model/events.js';
import { SnapshotDamage, type SnapshotReader, type SnapshotWriter } from './snapshot-format.js';
import { blobsProjection, layersProjection } from './layers.js';
import { erasuresProjection, manifestsProjection } from './content.js';
import { imagesProjection } from './images.js';
import { metadataProjection } from './metadata.js';
import { referencesProjection } from './references.js';
import { StoreError } from '../src/errors.js';
import type { EncodedViews } from './views-codec.js';

/**
 * A read model: a pure fold over the events of a log, in order. It knows no time, no
 * database and no other projection, so that a replay from zero, a live feed and a
 * look into the past fold to the same view.
 */
export interface Projection<View> {
  readonly name: string;
  /** Changes whenever the same events fold to another view, or a view is written another way. */
  readonly version: number;
  /** Returns the view of an empty log. */
  initial(): View;
  /** Returns `view` with `event` folded in. It may change `view` in place and return it: nobody else holds it then. */
  evolve(view: View, event: StoredEvent): View;
}

/** Writes a view as it was at one moment. It yields whenever the writer is full, for others to have their turn. */
export type ViewEncoder = (out: SnapshotWriter) => Iterable<void>;

/** A projection whose view can be written into a snapshot and read again. */
export interface StoredProjection<View> extends Projection<View> {
  /**
   * Returns what writes `view` as it is now. All that may change is copied before this returns, and that is all it does: the
   * store folds on while the encoder runs.
   */
  encode(view: View): ViewEncoder;
  /**
   * Returns a view that answers, and folds on, as the one that was written.
   * @throws {SnapshotDamage} when the bytes are none
   */
  decode(input: SnapshotReader): View;
}

/** Durable events in order, a page at a time: of a replay, or of one group of commands. */
export type Page = readonly StoredEvent[];

/** A view that follows a stream of pages. */
interface LiveView<View> {
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
function foldPage<View>(projection: Projection<View>, view: View, page: Page): View {
  let folded = view;
  for (const event of page) folded = projection.evolve(folded, event);
  return folded;
}

const projections = {
  images: imagesProjection,
  references: referencesProjection,
  layers: layersProjection,
  manifests: manifestsProjection,
  blobs: blobsProjection,
  metadata: metadataProjection,
  erasures: erasuresProjection,
};

/** The name of a view of the store. */
export type ViewName = keyof typeof projections;

/** The views that an image store answers from. */
export type Views = {
  readonly [Name in ViewName]: (typeof projections)[Name] extends Projection<infer View> ? View : never;
};

/** The projection of each view of the store. */
export const storeProjections: { readonly [Name in ViewName]: StoredProjection<Views[Name]> } = projections;

/** Every name, in the order in which a snapshot has the views. */
export const viewNames = Object.keys(projections) as readonly ViewName[];

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
