import type { Page } from '../../../projections/live-view.js';
import { StoreError } from '../../errors.js';
import type { StoredEvent } from '../../model/events.js';
import type { OwnProjection, ProjectionFailure } from './own-projection.js';

/** A view and the last event that is folded into it. */
export interface ViewAt<View> {
  readonly view: View;
  readonly seq: number;
}

/**
 * The fold of a caller's projection, one for what the log holds and for what comes. It ends where `evolve` throws; it
 * throws nothing itself, so that whoever feeds it goes on.
 */
export class ProjectionFold<View> {
  readonly #projection: OwnProjection<View>;
  #view: View;
  #seq: number;
  #failure: ProjectionFailure | undefined;
  #error: StoreError | undefined;

  /** Goes on from `start`. */
  constructor(projection: OwnProjection<View>, start: ViewAt<View>) {
    this.#projection = projection;
    this.#view = start.view;
    this.#seq = start.seq;
  }

  /** The last event that was folded. */
  get seq(): number {
    return this.#seq;
  }

  /** @throws {StoreError} PROJECTION_FAILED once `evolve` threw: an unfinished change may be in the view */
  get view(): View {
    if (this.#error !== undefined) throw this.#error;
    return this.#view;
  }

  get failure(): ProjectionFailure | undefined {
    return this.#failure;
  }

  /** What `view` throws, once it does. */
  get error(): StoreError | undefined {
    return this.#error;
  }

  /** Folds the events of `page` that it has not folded yet, up to the one at which it fails. */
  take(page: Page): void {
    for (const event of page) {
      if (this.#failure !== undefined) return;
      if (event.seq > this.#seq) this.#evolve(event);
    }
  }

  #evolve(event: StoredEvent): void {
    try {
      if (event.seq !== this.#seq + 1) throw gapAfter(this.#seq, event);
      const view = this.#projection.evolve(this.#view, event);
      if (view instanceof Promise) throw promised(view);
      this.#view = view;
      this.#seq = event.seq;
    } catch (error) {
      this.#failure = { event, error };
      this.#error = projectionFailed(this.#projection, event.seq, error);
    }
  }
}

/** Returns the error of a projection whose code threw at an event; seq 0 is before the first. */
export function projectionFailed(
  { name, version }: { readonly name: string; readonly version: number },
  seq: number,
  cause: unknown,
): StoreError {
  const where = seq === 0 ? 'before the first event' : `at event ${seq}`;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError('PROJECTION_FAILED', `the projection ${name} failed ${where}: ${why}`, {
    cause,
    data: { name, version, seq },
  });
}

function gapAfter(seq: number, event: StoredEvent): StoreError {
  return new StoreError('INTERNAL', `event ${event.seq} came after event ${seq}`);
}

function promised(view: Promise<unknown>): TypeError {
  // What becomes of it no longer matters, and must not end the process.
  view.catch(() => undefined);
  return new TypeError('evolve must return the view itself, not a promise of it');
}
