import type { Observable } from 'rxjs';
import type { StoredEvent } from '../../model/events.js';

/** A read model of the caller's: what `defineProjection` takes and gives. */
export interface OwnProjection<View> {
  /** 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit. */
  readonly name: string;
  /** A whole number from 1 up, raised whenever the same events fold to another view or `encode` writes another form. */
  readonly version: number;
  /** Returns the view of an empty log. */
  readonly initial: () => View;
  /**
   * Returns `view` with `event` folded in; it may change `view` in place and return it. Nothing but the two decides what it
   * returns: a replay folds to the same view. Others read the same event: it changes nothing of it, nor the bytes in it.
   */
  readonly evolve: (view: View, event: StoredEvent) => View;
  /**
   * Writes a view for a snapshot; the bytes are the store's from then on. With `decode`, a projection that begins again
   * folds only what came since. What it throws is said as a notice, and the snapshot before stays.
   */
  readonly encode?: ((view: View) => Uint8Array) | undefined;
  /** Reads what `encode` wrote. What it throws is said as a notice, and the view is folded from the first event. */
  readonly decode?: ((bytes: Uint8Array) => View) | undefined;
}

/** The event at which a projection failed, and what its `evolve` threw there. */
export interface ProjectionFailure {
  readonly event: StoredEvent;
  readonly error: unknown;
}

/** A view of the caller's that follows the log. */
export interface LiveProjection<View> extends Disposable {
  readonly name: string;
  readonly version: number;
  /** The last event that it has folded; it stays there once the projection failed or ended. */
  readonly seq: number;
  /**
   * The view of this moment, the one that `evolve` returned and not a copy.
   * @throws {StoreError} PROJECTION_FAILED when `evolve` threw: `data.seq` says at which event, `cause` what
   */
  readonly current: View;
  /**
   * The current view, then the view after each group of events. It fails with PROJECTION_FAILED, and ends with the projection
   * and with the store. What a subscriber throws hurts no other: RxJS reports it as an uncaught exception.
   */
  readonly view$: Observable<View>;
  /** Set once `evolve` threw: the projection folds nothing more. */
  readonly failure: ProjectionFailure | undefined;
  /** Ends it, and has its state written where it has `encode`; the name may be used again. */
  close(): void;
}

/** How a projection is begun. */
export interface ProjectOptions {
  /** Gives up while it catches up; afterwards it has no effect. */
  readonly signal?: AbortSignal | undefined;
}

/** Projections of the caller's. */
export interface OwnProjections {
  /**
   * Folds the log into a view of the caller's, and keeps it up to date: each event after the store's own views have it, and
   * before the write that made it resolves. Resolves when it has every event of this moment; its memory is that of the
   * view and of a page of events.
   * @throws {StoreError} PROJECTION_TAKEN while one of this name is live, or failed and not closed; PROJECTION_OUTDATED when a snapshot of a higher version
   *   is there; PROJECTION_FAILED when `evolve` throws, or `initial`, then with `data.seq` 0; PROJECTION_INVALID; ABORTED
   */
  project<View>(projection: OwnProjection<View>, options?: ProjectOptions): Promise<LiveProjection<View>>;
}
