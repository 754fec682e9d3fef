import { BehaviorSubject, type Observable, scan, Subject } from 'rxjs';
import type { Page, Projection, StoredProjection } from './projection.js';
import { SnapshotDamage } from './snapshot-format.js';
import { blobsProjection, layersProjection } from './layers.js';
import { erasuresProjection, manifestsProjection } from './content.js';
import { imagesProjection } from './images.js';
import { metadataProjection } from './metadata.js';
import { referencesProjection } from './references.js';
import { StoreError } from '../src/errors.js';

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

/** What a page, or other views in their place, make of the views. */
type Change = (views: Views) => Views;

/**
 * Returns the store's views, over an empty log or going on from `start`, which are then its own. The
 * same pipeline serves a replay and the live feed.
 */
export function createViews(start?: Views): ViewSet {
  const changes$ = new Subject<Change>();
  const folded$ = new Subject<Page>();
  const views$ = new BehaviorSubject(viewsBy((name) => start?.[name] ?? storeProjections[name].initial()));
  changes$.pipe(scan((views, change) => change(views), views$.value)).subscribe(views$);
  const views = {} as Views;
  for (const name of viewNames) {
    Object.defineProperty(views, name, { get: () => views$.value[name], enumerable: true });
  }
  return {
    views,
    fold(page) {
      // Subjects call their subscribers at once: when `next` returns, every view has the page.
      changes$.next((before) => viewsBy((name) => foldView(before, name, page)));
      folded$.next(page);
    },
    folded$: folded$.asObservable(),
    replace(other, names) {
      changes$.next((before) => viewsBy((name) => (names.includes(name) ? other : before)[name]));
    },
    end() {
      changes$.complete();
      folded$.complete();
    },
  };
}

function foldView<Name extends ViewName>(views: Views, name: Name, page: Page): Views[Name] {
  return foldPage(storeProjections[name], views[name], page);
}

function viewsBy(viewOf: <Name extends ViewName>(name: Name) => Views[Name]): Views {
  const views: Partial<Record<ViewName, Views[ViewName]>> = {};
  for (const name of viewNames) views[name] = viewOf(name);
  return views as Views;
}

/** The views of a snapshot, each read when it is asked for. */
export interface EncodedViews {
  /**
   * Returns a view, in a new object.
   * @throws {SnapshotDamage} when its bytes are no such view, or not all of it
   */
  decode<Name extends ViewName>(name: Name): Views[Name];
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
