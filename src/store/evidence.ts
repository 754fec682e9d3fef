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
import type { StoreContext } from './context.js';

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

/*
 * Proofs are made from the tiles of a log. A read of their rows does not check them, and who gets a
 * proof cannot tell damage from forgery: so each proof is checked here, up to the root in memory.
 */

/** As `TreeProofs.proveInclusion`, of a log that may be read up to `head`. */
async function inclusionProof(log: Log, head: Head, seq: number, size?: number): Promise<InclusionProof> {
  const last = size ?? Math.max(seq, head.seq);
  mustBeSeq('seq', seq);
  mustBeSeq('size', last);
  needEvent(seq, head);
  needEvent(last, head);
  if (seq > last) throw new RangeError(`size must be at least the seq of the event: ${last} is less than ${seq}`);
  const reader = readingOnce(log);
  return checked(async () => {
    const root = await rootAt(reader, last, head);
    const index = seq - 1;
    const hashes = await proveInclusion(reader, index, last);
    const leafHash = await leafAt(reader, index, last);
    checkInclusion({ index, leafHash, tree: { size: last, root } }, hashes);
    return { index, size: last, leafHash, root, hashes: hashes.map(plain) };
  });
}

/** As `TreeProofs.proveConsistency`, of a log that may be read up to `head`. */
async function consistencyProof(log: Log, head: Head, from: number, to?: number): Promise<ConsistencyProof> {
  const last = to ?? Math.max(from, head.seq);
  mustBeSeq('from', from);
  mustBeSeq('to', last);
  needEvent(from, head);
  needEvent(last, head);
  if (from > last) throw new RangeError(`a log of ${last} events does not begin with ${from}`);
  const reader = readingOnce(log);
  return checked(async () => {
    const larger: TreeHead = { size: last, root: await rootAt(reader, last, head) };
    const smaller: TreeHead = { size: from, root: plain(await treeRoot(reader, from)) };
    const hashes = await proveConsistency(reader, from, last);
    checkConsistency({ from: smaller, to: larger }, hashes);
    return { from: smaller, to: larger, hashes: hashes.map(plain) };
  });
}

async function checked<Proof>(make: () => Promise<Proof>): Promise<Proof> {
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

/** The evidence of a store: what its log proves, with the checkpoints that it keeps. */
export class StoreEvidence implements Evidence {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  async proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    this.#context.checkOpen();
    return inclusionProof(this.#context.log, this.#context.reader.head, seq, size);
  }

  async proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    this.#context.checkOpen();
    return consistencyProof(this.#context.log, this.#context.reader.head, from, to);
  }

  async checkpoint(): Promise<string> {
    const { checkpoints, readOnly } = this.#context;
    this.#context.checkOpen();
    return readOnly ? checkpoints.unwritten() : checkpoints.newest();
  }

  async prove(seq: number, { checkpoint }: ProveOptions = {}): Promise<string> {
    this.#context.checkOpen();
    // What cannot be proved at all is told before a checkpoint is signed for it.
    if (checkpoint === undefined) await this.#proveDurable(seq);
    const { text, size } = await this.#trusted(checkpoint ?? (await this.checkpoint()));
    if (seq > size) throw notIn(seq, size);
    const { index, hashes } = await this.#proveDurable(seq, size);
    return formatProof({ index, hashes, extra: await this.#record(seq), checkpoint: text });
  }

  // A checkpoint may be of events that are durable and not folded yet.
  #proveDurable(seq: number, size?: number): Promise<InclusionProof> {
    return inclusionProof(this.#context.log, this.#context.log.head, seq, size);
  }

  async #trusted(given: Uint8Array | string): Promise<{ readonly text: string; readonly size: number }> {
    const { log, sidecar } = this.#context;
    const checkpoint = parseCheckpoint(given);
    checkOriginOf(checkpoint, sidecar.origin);
    const { size } = checkpoint;
    if (await beginsWith(log, checkpoint)) return { text: noteText(given), size };
    throw new StoreError(
      'CHECKPOINT_FORKED',
      `this log of ${log.head.seq} events does not begin with the ${size} events of the checkpoint`,
      { data: { size, head: log.head.seq } },
    );
  }

  async #record(seq: number): Promise<Uint8Array> {
    for await (const [entry] of this.#context.log.entryPages({ from: seq, to: seq })) {
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
