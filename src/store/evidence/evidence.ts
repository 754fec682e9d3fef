import type { TreeHead } from '../../log/merkle/check-proof.js';

/** That an event is in the log of a certain size: what `checkInclusion` takes, and a `.tlog-proof` file says. */
export interface InclusionProof {
  /** The event's place among the leaves of the tree, from 0: its seq less one. */
  readonly index: number;
  /** Events of the tree. */
  readonly size: number;
  /** RFC 6962 leaf hash of the event's record. */
  readonly leafHash: Uint8Array;
  /** Root of the tree. */
  readonly root: Uint8Array;
  /** From the leaf to the root, the hash next to the leaf first; at most 53. */
  readonly hashes: readonly Uint8Array[];
}

/** That a log begins with what it held before. */
export interface ConsistencyProof {
  readonly from: TreeHead;
  readonly to: TreeHead;
  /** Empty when both are the same. */
  readonly hashes: readonly Uint8Array[];
}

/** What the log can prove about itself, to somebody who holds a checkpoint and nothing else. All bytes are the caller's own. */
export interface Evidence {
  /**
   * Resolves with the proof that event `seq` is in the log of the first `size` events, by default all of this moment. It was
   * checked, up to the root of the whole log. Costs the reading of a few tiles.
   * @throws {StoreError} EVENT_NOT_FOUND when the log has no event `seq`, or fewer than `size`; LOG_CORRUPT
   * @throws {RangeError} for what is no seq, or a `seq` after `size`
   */
  proveInclusion(seq: number, size?: number): Promise<InclusionProof>;

  /**
   * Resolves with the proof that the log of the first `to` events, by default all of this moment, begins with the first `from`.
   * It was checked, up to the root of the whole log. Costs the reading of a few tiles.
   * @throws {StoreError} EVENT_NOT_FOUND when the log has fewer than `from` or `to` events; LOG_CORRUPT
   * @throws {RangeError} for what is no seq, or a `from` after `to`: the empty log is the beginning of any, and proves nothing
   */
  proveConsistency(from: number, to?: number): Promise<ConsistencyProof>;
}
