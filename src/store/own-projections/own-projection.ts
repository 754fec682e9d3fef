import type { Observable } from 'rxjs';
import type { StoredEvent } from '../../model/events.js';

/** A read model of the caller's: what `defineProjection` takes and gives. */
export interface OwnProjection<View> {
  /** 1 to 64 letters, digits, dots, dashes and underscores. */
  readonly name: string;
  /** A whole number from 1 up, raised whenever the same events fold to another view. */
  readonly version: number;
  /** Returns the view of an empty log. */
  readonly initial: () => View;
  /** Returns `view` with `event` folded in; it may change `view` in place and return it. It must not change the event. */
  readonly evolve: (view: View, event: StoredEvent) => View;
  /** Writes a view for a snapshot. With `decode`, a store that is opened again folds only what came since. */
  readonly encode?: ((view: View) => Uint8Array) | undefined;
  /** Reads what `encode` wrote. What it throws makes the snapshot a bad one, and the view is folded from zero. */
  readonly decode?: ((bytes: Uint8Array) => View) | undefined;
}

/** A view of the caller's that follows the log. */
export interface LiveProjection<View> extends Disposable {
  readonly name: string;
  readonly version: number;
  /** The last event that it has folded, or passed over when it failed. */
  readonly seq: number;
  /**
   * The view of this moment.
   * @throws {StoreError} PROJECTION_FAILED when `evolve` threw: `data.seq` says at which event, `cause` what
   */
  readonly current: View;
  /** The current view, then the view after each group of events. It fails with PROJECTION_FAILED, and ends with the store. */
  readonly view$: Observable<View>;
  /** The event at which `evolve` threw, and what it threw. */
  readonly failure: { readonly event: StoredEvent; readonly error: unknown } | undefined;
  /** Ends it; the name may be used again. */
  close(): void;
}

/** Projections of the caller's. */
export interface OwnProjections {
  /**
   * Folds the log into a view of the caller's, and keeps it up to date: each event after the store's own views have it.
   * Resolves when it has every event of this moment.
   * @throws {StoreError} PROJECTION_TAKEN while one of this name is live; PROJECTION_OUTDATED when a snapshot of a higher version
   *   is there; PROJECTION_FAILED when `evolve` throws; PROJECTION_INVALID
   */
  project<View>(projection: OwnProjection<View>): Promise<LiveProjection<View>>;
}
