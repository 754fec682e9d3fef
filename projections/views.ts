import { BehaviorSubject, type Observable, scan, Subject } from 'rxjs';
import type { Page, Projection, StoredProjection } from './projection.js';
import { SnapshotDamage } from './snapshot-format.js';
import { artifactsProjection } from './artifacts.js';
import { blobsProjection, layersProjection } from './layers.js';
import { erasuresProjection, manifestsProjection } from './content.js';
import { imagesProjection } from './images.js';
import { metadataProjection } from './metadata.js';
import { referencesProjection } from './references.js';
import { StoreError } from '../src/errors.js';

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
  artifacts: artifactsProjection,
};

/** Name of a view of the store. */
export type ViewName = keyof typeof projections;

/** All views of an image store. */
export type Views = {
  readonly [Name in ViewName]: (typeof projections)[Name] extends Projection<infer View> ? View : never;
};

/** Projections of the store, by view. */
export const storeProjections: { readonly [Name in ViewName]: StoredProjection<Views[Name]> } = projections;

/** Names of the views, in snapshot order. */
export const viewNames = Object.keys(projections) as readonly ViewName[];

/** A mutable set of views. */
export interface ViewSet {
  readonly views: Views;
  /** Synchronously folds a page of durable events into every view. */
  fold(page: Page): void;
  /** Emits each page after every view has folded it. */
  readonly folded$: Observable<Page>;
  /** Replaces the named views with those of `other`, and takes ownership of them. */
  replace(other: Views, names: readonly ViewName[]): void;
  /** Completes `folded$`. */
  end(): void;
}

type Change = (views: Views) => Views;

/**
 * Returns the store's views, of an empty log or from `start`, of which it takes ownership. One
 * pipeline serves replay and live feed.
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
      // Subjects emit synchronously: when `next` returns, every view has the page.
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

/** Returns `views` as a set that nothing is folded into: of a store that is open for reading only. */
export function fixedViews(views: Views): ViewSet {
  const folded$ = new Subject<Page>();
  const refuse = (): never => {
    throw new StoreError('INTERNAL', 'the views of a store that is open for reading do not change');
  };
  return { views, fold: refuse, folded$: folded$.asObservable(), replace: refuse, end: () => folded$.complete() };
}

function foldView<Name extends ViewName>(views: Views, name: Name, page: Page): Views[Name] {
  return foldPage(storeProjections[name], views[name], page);
}

function viewsBy(viewOf: <Name extends ViewName>(name: Name) => Views[Name]): Views {
  const views: Partial<Record<ViewName, Views[ViewName]>> = {};
  for (const name of viewNames) views[name] = viewOf(name);
  return views as Views;
}

/** Views of a snapshot, decoded on demand. */
export interface EncodedViews {
  /** Decodes a view into a new object. @throws {SnapshotDamage} when malformed or truncated */
  decode<Name extends ViewName>(name: Name): Views[Name];
}

/** Changes by consecutive events, read instead of them. */
export interface EncodedChanges {
  /**
   * Does to a view, which the caller owns, what its fold of the events does; returns the view that
   * has it.
   * @throws {SnapshotDamage} when malformed; the view is then of no moment
   */
  fold<Name extends ViewName>(name: Name, view: Views[Name]): Views[Name];
}

/** Consecutive events, or their changes. */
export type PastStep = Page | EncodedChanges;

/**
 * Returns immutable views of one moment: of a snapshot or the empty log, with `steps` folded in.
 * Each is made on first access, as a query of the past needs one or two. A snapshot that was
 * corrupt before its checksum was computed throws CONTENT_CORRUPT.
 */
export function pastViews(start: EncodedViews | undefined, steps: readonly PastStep[]): Views {
  const views = {} as Views;
  for (const name of viewNames) {
    Object.defineProperty(views, name, {
      enumerable: true,
      configurable: true,
      get() {
        const view = pastView(name, start, steps);
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
  steps: readonly PastStep[],
): Views[Name] {
  try {
    let view = start === undefined ? storeProjections[name].initial() : start.decode(name);
    for (const step of steps)
      view = 'fold' in step ? step.fold(name, view) : foldPage(storeProjections[name], view, step);
    return view;
  } catch (cause) {
    if (!(cause instanceof SnapshotDamage)) throw cause;
    throw new StoreError('CONTENT_CORRUPT', `the view ${name} of a snapshot is damaged: ${cause.message}`, { cause });
  }
}
