import {
  checkConsistency,
  checkInclusion,
  hashInTile,
  proveConsistency,
  proveInclusion,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  type TileReader,
  type TreeHead,
  treeRoot,
} from '../log/merkle.js';
import { isStoreError, StoreError } from '../errors.js';
import type { Head, Log } from '../log/log.js';
import { beginsWith } from '../log/begins-with.js';
import { checkOriginOf, formatProof, parseCheckpoint } from '../log/checkpoint.js';
import { noteText } from '../log/note.js';
import type { CheckpointKeeper } from './open/checkpoint-keeper.js';

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

/** What a log is proved with. */
interface LogEvidenceOptions {
  readonly log: Log;
  /** The last event that may be seen. */
  readonly head: () => Head;
  /** @throws {StoreError} STORE_CLOSED */
  readonly checkOpen: () => void;
}

/**
 * Makes proofs from the tiles of a log. Their rows are not checked when they are read, and whoever gets a proof has no way to tell
 * damage from forgery: so each proof is checked here, up to the root that is kept in memory.
 */
export class LogEvidence implements TreeProofs {
  readonly #options: LogEvidenceOptions;

  constructor(options: LogEvidenceOptions) {
    this.#options = options;
  }

  async proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    const head = this.#head();
    const last = size ?? Math.max(seq, head.seq);
    mustBeSeq('seq', seq);
    mustBeSeq('size', last);
    needEvent(seq, head);
    needEvent(last, head);
    if (seq > last) throw new RangeError(`size must be at least the seq of the event: ${last} is less than ${seq}`);
    const reader = readingOnce(this.#options.log);
    return this.#checked(async () => {
      const root = await rootAt(reader, last, head);
      const index = seq - 1;
      const hashes = await proveInclusion(reader, index, last);
      const leafHash = await leafAt(reader, index, last);
      checkInclusion({ index, leafHash, tree: { size: last, root } }, hashes);
      return { index, size: last, leafHash, root, hashes: hashes.map(plain) };
    });
  }

  async proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    const head = this.#head();
    const last = to ?? Math.max(from, head.seq);
    mustBeSeq('from', from);
    mustBeSeq('to', last);
    needEvent(from, head);
    needEvent(last, head);
    if (from > last) throw new RangeError(`a log of ${last} events does not begin with ${from}`);
    const reader = readingOnce(this.#options.log);
    return this.#checked(async () => {
      const larger: TreeHead = { size: last, root: await rootAt(reader, last, head) };
      const smaller: TreeHead = { size: from, root: plain(await treeRoot(reader, from)) };
      const hashes = await proveConsistency(reader, from, last);
      checkConsistency({ from: smaller, to: larger }, hashes);
      return { from: smaller, to: larger, hashes: hashes.map(plain) };
    });
  }

  #head(): Head {
    this.#options.checkOpen();
    return this.#options.head();
  }

  async #checked<Proof>(make: () => Promise<Proof>): Promise<Proof> {
    try {
      return await make();
    } catch (cause) {
      if (!isStoreError(cause, 'PROOF_REJECTED')) throw cause;
      throw new StoreError('LOG_CORRUPT', "no proof was given: a row of the log's tree is damaged, or an event is", {
        cause,
        data: { remedy: 'rebuild' },
      });
    }
  }
}

/** Resolves with the root at `size`, after it proved to be one that the tree of `head` went through. */
async function rootAt(reader: TileReader, size: number, head: Head): Promise<Uint8Array> {
  const root = plain(await treeRoot(reader, size));
  const hashes = await proveConsistency(reader, size, head.seq);
  checkConsistency({ from: { size, root }, to: { size: head.seq, root: head.root } }, hashes);
  return root;
}

async function leafAt(reader: TileReader, index: number, size: number): Promise<Uint8Array> {
  const tile = await reader.readTile(tileOfTree(0, Math.floor(index / TILE_WIDTH), size));
  return hashInTile(tile, index % TILE_WIDTH).slice();
}

/** A reader of the same tiles for one proof: what makes it and what checks it want much the same. */
function readingOnce(reader: TileReader): TileReader {
  const tiles = new Map<string, Promise<Uint8Array>>();
  return {
    readTile: (tile: Tile) => {
      const name = `${tile.level}/${tile.index}/${tile.width}`;
      const bytes = tiles.get(name) ?? reader.readTile(tile);
      tiles.set(name, bytes);
      return bytes;
    },
  };
}

function mustBeSeq(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new RangeError(`${name} must be a whole number from 1 up: ${value}`);
}

function needEvent(seq: number, head: Head): void {
  if (seq <= head.seq) return;
  throw new StoreError('EVENT_NOT_FOUND', `there is no event ${seq}: the log ends at seq ${head.seq}`, {
    data: { seq, head: head.seq },
  });
}

/** The same bytes, whatever gave them: the hash of Node gives a Buffer. */
function plain(hash: Uint8Array): Uint8Array {
  return new Uint8Array(hash);
}

interface StoreEvidenceOptions {
  readonly log: Log;
  /** The log's name in checkpoints. */
  readonly origin: string;
  readonly checkpoints: CheckpointKeeper;
  readonly readOnly: boolean;
  /** Proofs about events that may be seen. */
  readonly seen: LogEvidence;
  /** Proofs about every event of the log. */
  readonly durable: LogEvidence;
}

/** The evidence of a store: what its log proves, with the checkpoints that it keeps. */
export class StoreEvidence implements Evidence {
  readonly #options: StoreEvidenceOptions;

  constructor(options: StoreEvidenceOptions) {
    this.#options = options;
  }

  proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    return this.#options.seen.proveInclusion(seq, size);
  }

  proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    return this.#options.seen.proveConsistency(from, to);
  }

  async checkpoint(): Promise<string> {
    const { checkpoints, readOnly } = this.#options;
    return readOnly ? checkpoints.unwritten() : checkpoints.newest();
  }

  async prove(seq: number, { checkpoint }: ProveOptions = {}): Promise<string> {
    const { durable } = this.#options;
    // What cannot be proved at all is told before a checkpoint is signed for it.
    if (checkpoint === undefined) await durable.proveInclusion(seq);
    const { text, size } = await this.#trusted(checkpoint ?? (await this.checkpoint()));
    if (seq > size) throw notIn(seq, size);
    const { index, hashes } = await durable.proveInclusion(seq, size);
    return formatProof({ index, hashes, extra: await this.#record(seq), checkpoint: text });
  }

  async #trusted(given: Uint8Array | string): Promise<{ readonly text: string; readonly size: number }> {
    const { log, origin } = this.#options;
    const checkpoint = parseCheckpoint(given);
    checkOriginOf(checkpoint, origin);
    const { size } = checkpoint;
    if (await beginsWith(log, checkpoint)) return { text: noteText(given), size };
    throw new StoreError(
      'CHECKPOINT_FORKED',
      `this log of ${log.head.seq} events does not begin with the ${size} events of the checkpoint`,
      { data: { size, head: log.head.seq } },
    );
  }

  async #record(seq: number): Promise<Uint8Array> {
    for await (const [entry] of this.#options.log.entryPages({ from: seq, to: seq })) {
      if (entry !== undefined) return entry.record;
    }
    throw new StoreError('INTERNAL', `event ${seq} was proved, and is not there`);
  }
}

function notIn(seq: number, size: number): StoreError {
  return new StoreError('EVENT_NOT_FOUND', `the checkpoint is of ${size} events, and has no event ${seq}`, {
    data: { seq, size },
  });
}
