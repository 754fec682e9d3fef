import type { EventType, StoredEvent } from '../src/model/events.js';
import type { SnapshotReader, ViewEncoder } from './snapshot-format.js';

/**
 * A read model: a pure fold over the events of a log, in order. It depends on no clock, database or
 * other projection, so that a replay, the live feed and a query of the past give the same view.
 */
export interface Projection<View> {
  readonly name: string;
  /** Changes whenever equal events fold to another view, or a view is encoded differently. */
  readonly version: number;
  /** Returns the view of an empty log. */
  initial(): View;
  /** Folds `event` in and returns the view; may modify `view`, which has no other holder. */
  evolve(view: View, event: StoredEvent): View;
}

/** A projection whose view can be stored in snapshots. */
export interface StoredProjection<View> extends Projection<View> {
  /** Types of the events that can change the view; any other folds to the same. */
  readonly folds: readonly EventType[];
  /**
   * Returns an encoder of `view` as it is now. Copies only mutable state, before it returns: the
   * store keeps folding while the encoder runs.
   */
  encode(view: View): ViewEncoder;
  /**
   * Returns a view that answers and folds like the encoded one, with room for `more` events.
   * @throws {SnapshotDamage} when the bytes are malformed
   */
  decode(input: SnapshotReader, more: number): View;
}

/** Consecutive durable events: of a replay, or of one group of commands. */
export type Page = readonly StoredEvent[];
