import type { StoredEvent } from '../src/model/events.js';
import type { SnapshotReader, SnapshotWriter } from './snapshot-format.js';

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
