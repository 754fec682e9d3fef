import { mustBeCount, mustBeOptions, mustBeString } from './argument-types.js';
import type { OptionNames } from '../model/option-names.js';
import {
  checkConsistency,
  checkInclusion,
  emptyRoot,
  formatEntries,
  hashInTile,
  parseTilePath,
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
import { beginsWith, type Head, type Log } from '../log/log.js';
import { checkOriginOf, formatProof, parseCheckpoint } from '../log/checkpoint.js';
import { noteText } from '../log/note.js';
import { parseDigest } from '../model/digest.js';
import type { StoreContext } from './context.js';

/** Proves an event in a log of some size: for `checkInclusion` and `.tlog-proof` files. */
export interface InclusionProof {
  /** Leaf index of the event, from 0: its seq less one. */
  readonly index: number;
  /** Number of events in the tree. */
  readonly size: number;
  /** RFC 6962 leaf hash of the event's record. */
  readonly leafHash: Uint8Array;
  /** Root of the tree. */
  readonly root: Uint8Array;
  /** Audit path from leaf to root, leaf's sibling first; at most 53 hashes. */
  readonly hashes: readonly Uint8Array[];
}

/** Proof that a log begins with an earlier state of it. */
export interface ConsistencyProof {
  readonly from: TreeHead;
  readonly to: TreeHead;
  /** Empty if both are the same. */
  readonly hashes: readonly Uint8Array[];
}

/** Options of `prove`. */
export interface ProveOptions {
  /** The checkpoint the verifier trusts, as text or UTF-8; default a new one of the head. */
  readonly checkpoint?: Uint8Array | string | undefined;
}

const proveOptionNames: OptionNames<ProveOptions> = { checkpoint: true };

/** Proofs from the log's Merkle tree. The caller owns all bytes. */
export interface TreeProofs {
  /**
   * Resolves with the proof that event `seq` is in the log of the first `size` events, by default
   * all. The proof is checked up to the root of the whole log. Reads a few tiles.
   * @throws {StoreError} EVENT_NOT_FOUND when the log has no event `seq`, or fewer than `size`;
   *   LOG_CORRUPT
   * @throws {RangeError} for a number that is not a seq, or a `seq` after `size`
   */
  proveInclusion(seq: number, size?: number): Promise<InclusionProof>;

  /**
   * Resolves with the proof that the log of the first `to` events, by default all, begins with the
   * first `from`. The proof is checked up to the root of the whole log. Reads a few tiles.
   * @throws {StoreError} EVENT_NOT_FOUND when the log has fewer than `from` or `to` events;
   *   LOG_CORRUPT
   * @throws {RangeError} for a number that is not a seq, or a `from` after `to`. `from` cannot be
   *   0: every log begins with the empty one
   */
  proveConsistency(from: number, to?: number): Promise<ConsistencyProof>;
}

/** Proofs for someone who holds only a checkpoint or a key. */
export interface Evidence extends TreeProofs {
  /**
   * Resolves with a checkpoint of the head, signed if the store has a signer, and durably saved in
   * the file `checkpoint`. A read-only store neither writes nor signs: it returns the file's text
   * if that is of the head, else an unsigned checkpoint. With `size`, of the first `size` events
   * instead; the file then stays as it is.
   * @throws {StoreError} CHECKPOINT_FORKED when the key signed another history; DISK_FULL,
   *   STORE_NOT_WRITABLE, IO_FAILED; with `size`, EVENT_NOT_FOUND when the log has fewer, LOG_CORRUPT
   */
  checkpoint(size?: number): Promise<string>;

  /**
   * Resolves with the text of a `.tlog-proof` file (C2SP tlog-proof): it holds the record of event
   * `seq` and proves it to anyone who trusts its checkpoint. Check it with `checkProof`, without
   * the store.
   * @throws {StoreError} EVENT_NOT_FOUND when the log or the checkpoint has no such event;
   *   LOG_CORRUPT; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN; CHECKPOINT_FORKED when the log does not
   *   begin with the checkpoint's tree; for a new checkpoint, those of `checkpoint`
   */
  prove(seq: number, options?: ProveOptions): Promise<string>;

  /**
   * Resolves with a tile of the log's Merkle tree or a bundle of its records, by its path (C2SP
   * tlog-tiles): `tile/0/x001/067`, `tile/entries/000.p/7`. At most 8 KiB or 16 MiB. Its bytes are
   * the same whenever it is read; what the log has of it above the leaves is not checked here.
   * @throws {StoreError} EVENT_NOT_FOUND when the log does not reach so far, or for another path;
   *   LOG_CORRUPT
   */
  readTile(path: string): Promise<Uint8Array>;

  /**
   * Returns the bytes of a config, manifest, index or artifact by its digest, checked; undefined when
   * it is not there, or was erased.
   * @throws {StoreError} DIGEST_INVALID, CONTENT_CORRUPT
   */
  readContent(digest: string): Uint8Array | undefined;

  /** Verifies the signatures of checkpoints; in the key format of Go's sumdb/note. Undefined without a signer. */
  readonly verifierKey: string | undefined;
}

/*
 * Proofs are built from a log's tiles, whose rows are read unchecked, and their receivers cannot
 * tell damage from forgery. So each proof is checked here, up to the root in memory.
 */

/** `TreeProofs.proveInclusion` for a log readable up to `head`. */
async function inclusionProof(log: Log, head: Head, seq: number, size?: number): Promise<InclusionProof> {
  const last = size ?? Math.max(seq, head.seq);
  needEvents(head, { seq, size: last });
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

/** `TreeProofs.proveConsistency` for a log readable up to `head`. */
async function consistencyProof(log: Log, head: Head, from: number, to?: number): Promise<ConsistencyProof> {
  const last = to ?? Math.max(from, head.seq);
  needEvents(head, { from, to: last });
  if (from > last) throw new RangeError(`from must be at most to: ${from} is more than ${last}`);
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

/** Resolves with the root at `size`, proved to be an earlier state of the tree of `head`. */
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

/** Caches tiles for one proof: building and checking it read much the same ones. */
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

/** Checks that arguments, by name, are seqs of events up to `head`. */
function needEvents(head: Head, seqs: Readonly<Record<string, number>>): void {
  for (const [name, seq] of Object.entries(seqs)) {
    if (!Number.isSafeInteger(seq) || seq < 1) throw new RangeError(`${name} must be a whole number from 1 up: ${seq}`);
  }
  const beyond = Object.values(seqs).find((seq) => seq > head.seq);
  if (beyond === undefined) return;
  const message = `there is no event ${beyond}: the log ends at seq ${head.seq}`;
  throw new StoreError('EVENT_NOT_FOUND', message, { data: { seq: beyond, head: head.seq } });
}

/** Copies a Buffer, which Node's hash returns, to a plain Uint8Array. */
function plain(hash: Uint8Array): Uint8Array {
  return new Uint8Array(hash);
}

/** The proofs of a store's log, using its checkpoints. */
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

  async checkpoint(size?: number): Promise<string> {
    const { checkpoints, readOnly } = this.#context;
    this.#context.checkOpen();
    if (size !== undefined) return this.#checkpointAt(size);
    return readOnly ? checkpoints.unwritten() : checkpoints.newest();
  }

  async #checkpointAt(size: number): Promise<string> {
    const { checkpoints, readOnly, log } = this.#context;
    mustBeCount('size', size);
    const { head } = log;
    if (size > 0) needEvents(head, { size });
    const root = size === 0 ? plain(emptyRoot()) : await checked(() => rootAt(readingOnce(log), size, head));
    return readOnly ? checkpoints.unsigned({ seq: size, root }) : checkpoints.at({ seq: size, root });
  }

  async readTile(path: string): Promise<Uint8Array> {
    this.#context.checkOpen();
    mustBeString('path', path);
    const { log } = this.#context;
    const { seq } = log.head;
    const tile = parseTilePath(path);
    const has = tile === undefined ? 0 : tileOfTree(tile.level === 'entries' ? 0 : tile.level, tile.index, seq).width;
    if (tile === undefined || tile.width > has) {
      const message = `the log of ${seq} events has no ${path.slice(0, 100)}`;
      throw new StoreError('EVENT_NOT_FOUND', message, { data: { path: path.slice(0, 100), head: seq } });
    }
    const { level, index, width } = tile;
    if (level !== 'entries') return log.readTile({ level, index, width });
    const from = index * TILE_WIDTH + 1;
    const records: Uint8Array[] = [];
    for await (const page of log.entryPages({ from, to: from + width - 1 })) {
      for (const { record } of page) records.push(record);
    }
    return formatEntries(records);
  }

  readContent(digest: string): Uint8Array | undefined {
    this.#context.checkOpen();
    mustBeString('digest', digest);
    return this.#context.log.content(parseDigest(digest));
  }

  get verifierKey(): string | undefined {
    return this.#context.checkpoints.verifierKey;
  }

  async prove(seq: number, options: ProveOptions = {}): Promise<string> {
    this.#context.checkOpen();
    mustBeOptions(options, proveOptionNames);
    const { checkpoint } = options;
    // Fail on an unprovable event before signing a checkpoint for it.
    if (checkpoint === undefined) await this.#proveDurable(seq);
    const { text, size } = await this.#trusted(checkpoint ?? (await this.checkpoint()));
    if (seq > size) {
      const message = `the checkpoint is of ${size} events, and has no event ${seq}`;
      throw new StoreError('EVENT_NOT_FOUND', message, { data: { seq, size } });
    }
    const { index, hashes } = await this.#proveDurable(seq, size);
    return formatProof({ index, hashes, extra: await this.#record(seq), checkpoint: text });
  }

  // A checkpoint may cover events that are durable but not folded yet.
  #proveDurable(seq: number, size?: number): Promise<InclusionProof> {
    return inclusionProof(this.#context.log, this.#context.log.head, seq, size);
  }

  async #trusted(given: Uint8Array | string): Promise<{ readonly text: string; readonly size: number }> {
    const { log, sidecar } = this.#context;
    const checkpoint = parseCheckpoint(given);
    checkOriginOf(checkpoint, sidecar.origin);
    const { size } = checkpoint;
    if (await beginsWith(log, checkpoint)) return { text: noteText(given), size };
    const message = `this log of ${log.head.seq} events does not begin with the ${size} events of the checkpoint`;
    throw new StoreError('CHECKPOINT_FORKED', message, { data: { size, head: log.head.seq } });
  }

  async #record(seq: number): Promise<Uint8Array> {
    for await (const [entry] of this.#context.log.entryPages({ from: seq, to: seq })) {
      if (entry !== undefined) return entry.record;
    }
    throw new StoreError('INTERNAL', `event ${seq} was proved, but the log does not have it`);
  }
}
