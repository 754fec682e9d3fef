import type { StoredEvent } from '../src/model/events.js';

/**
 * A read model: a pure fold over the events of a log, in order. It knows no time, no
 * database and no other projection, so that a replay from zero, a live feed and a
 * look into the past fold to the same view.
 */
export interface Projection<View> {
  readonly name: string;
  /** Changes whenever the same events fold to another view. */
  readonly version: number;
  /** Returns the view of an empty log. */
  initial(): View;
  /** Returns `view` with `event` folded in. It may change `view` in place and return it: nobody else holds it then. */
  evolve(view: View, event: StoredEvent): View;
}
