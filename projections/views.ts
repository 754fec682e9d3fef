import { type Observable, Subject } from 'rxjs';
import { type BlobsView, blobsProjection } from './blobs.js';
import { type ChildrenView, childrenProjection } from './children.js';
import { type ImagesView, imagesProjection } from './images.js';
import { type LayersView, layersProjection } from './layers.js';
import { followPages, type Page } from './live-view.js';
import { type ManifestsView, manifestsProjection } from './manifests.js';
import { type MetadataView, metadataProjection } from './metadata.js';
import { type ReferencesView, referencesProjection } from './references.js';
import { type SearchView, searchProjection } from './search.js';

/** The views that an image store answers from. */
export interface Views {
  readonly images: ImagesView;
  readonly children: ChildrenView;
  readonly search: SearchView;
  readonly references: ReferencesView;
  readonly layers: LayersView;
  readonly manifests: ManifestsView;
  readonly blobs: BlobsView;
  readonly metadata: MetadataView;
}

/** Views that fold what is given to them. */
export interface ViewSet {
  readonly views: Views;
  /** Folds a page of durable events into every view, before it returns. */
  fold(page: Page): void;
  /** Each page, after every view has folded it. */
  readonly folded$: Observable<Page>;
  /** Ends `folded$`. */
  end(): void;
}

/** Returns the store's views over an empty log. */
export function createViews(): ViewSet {
  const pages$ = new Subject<Page>();
  const folded$ = new Subject<Page>();
  const live = {
    images: followPages(imagesProjection, pages$),
    children: followPages(childrenProjection, pages$),
    search: followPages(searchProjection, pages$),
    references: followPages(referencesProjection, pages$),
    layers: followPages(layersProjection, pages$),
    manifests: followPages(manifestsProjection, pages$),
    blobs: followPages(blobsProjection, pages$),
    metadata: followPages(metadataProjection, pages$),
  };
  return {
    views: {
      get images() {
        return live.images.current;
      },
      get children() {
        return live.children.current;
      },
      get search() {
        return live.search.current;
      },
      get references() {
        return live.references.current;
      },
      get layers() {
        return live.layers.current;
      },
      get manifests() {
        return live.manifests.current;
      },
      get blobs() {
        return live.blobs.current;
      },
      get metadata() {
        return live.metadata.current;
      },
    },
    fold(page) {
      // Subjects call their subscribers in turn and at once: when `next` returns, every view has the page.
      pages$.next(page);
      folded$.next(page);
    },
    folded$: folded$.asObservable(),
    end() {
      pages$.complete();
      folded$.complete();
    },
  };
}
