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

/** How an event is proved. */
export interface ProveOptions {
  /** The checkpoint that whoever checks the proof trusts, its text or UTF-8; default a new one, of the head. */
  readonly checkpoint?: Uint8Array | string | undefined;
}

/** What the tree of the log proves. All bytes are the caller's own. */
export interface TreeProofs {
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

/** What the log can prove about itself, to somebody who holds a checkpoint or a key and nothing else. */
export interface Evidence extends TreeProofs {
  /**
   * Resolves with the text of a checkpoint of the head, signed when the store was opened with a signer, and then in the file
   * `checkpoint`, durable. A store that was opened for reading writes and signs nothing: it gives the file's text when that is of
   * the head, else one without a signature.
   * @throws {StoreError} CHECKPOINT_FORKED when the key signed another history; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
   */
  checkpoint(): Promise<string>;

  /**
   * Resolves with the text of a `.tlog-proof` file (C2SP tlog-proof): it proves event `seq`, whose record is in it, to whoever
   * trusts the checkpoint in it. `checkProof` checks it without the store.
   * @throws {StoreError} EVENT_NOT_FOUND when the log, or what the checkpoint is of, has no such event; LOG_CORRUPT;
   *   CHECKPOINT_INVALID, CHECKPOINT_FOREIGN; CHECKPOINT_FORKED when the log does not begin with what the checkpoint is of; for a
   *   new one those of `checkpoint`
   */
  prove(seq: number, options?: ProveOptions): Promise<string>;
}
