import { BehaviorSubject, type Observable, type Subscription } from 'rxjs';
import type { Page } from '../../../projections/live-view.js';
import type { LiveProjection, OwnProjection, ProjectionFailure } from './own-projection.js';
import type { ProjectionFold } from './projection-fold.js';

/** A caller's view that has caught up, and folds each page that comes. */
export class FollowedProjection<View> implements LiveProjection<View> {
  readonly name: string;
  readonly version: number;
  readonly view$: Observable<View>;
  readonly #fold: ProjectionFold<View>;
  readonly #views: BehaviorSubject<View>;
  readonly #subscription: Subscription;
  #onClose: (() => void) | undefined;

  /**
   * Follows `pages$`, which goes on where `fold` stands; `onClose` is called once, when the caller ends it.
   * @throws {StoreError} PROJECTION_FAILED when `fold` has failed
   */
  constructor(
    { name, version }: OwnProjection<View>,
    fold: ProjectionFold<View>,
    pages$: Observable<Page>,
    onClose: () => void,
  ) {
    this.name = name;
    this.version = version;
    this.#fold = fold;
    this.#onClose = onClose;
    this.#views = new BehaviorSubject(fold.view);
    this.view$ = this.#views.asObservable();
    this.#subscription = pages$.subscribe({
      next: (page) => this.#take(page),
      complete: () => this.#views.complete(),
    });
  }

  get seq(): number {
    return this.#fold.seq;
  }

  get current(): View {
    return this.#fold.view;
  }

  get failure(): ProjectionFailure | undefined {
    return this.#fold.failure;
  }

  close(): void {
    this.#subscription.unsubscribe();
    this.#views.complete();
    this.#onClose?.();
    this.#onClose = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(page: Page): void {
    this.#fold.take(page);
    const { error } = this.#fold;
    if (error === undefined) {
      this.#views.next(this.#fold.view);
      return;
    }
    this.#subscription.unsubscribe();
    this.#views.error(error);
  }
}
