import { isStoreError, StoreError } from '../../errors.js';
import type { Head, Log } from '../../log/log.js';
import { checkConsistency, checkInclusion, type TreeHead } from '../../log/merkle/check-proof.js';
import { proveConsistency, proveInclusion, treeRoot } from '../../log/merkle/proof.js';
import { hashInTile, type Tile, type TileReader, TILE_WIDTH, tileOfTree } from '../../log/merkle/tile.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { ConsistencyProof, InclusionProof, TreeProofs } from './evidence.js';

/** What a log is proved with. */
export interface LogEvidenceOptions {
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
      const hashes = await proveInclusion(reader, index, last, nodeSha256);
      const leafHash = await leafAt(reader, index, last);
      checkInclusion({ index, leafHash, tree: { size: last, root } }, hashes, nodeSha256);
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
      const smaller: TreeHead = { size: from, root: plain(await treeRoot(reader, from, nodeSha256)) };
      const hashes = await proveConsistency(reader, from, last, nodeSha256);
      checkConsistency({ from: smaller, to: larger }, hashes, nodeSha256);
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
  const root = plain(await treeRoot(reader, size, nodeSha256));
  const hashes = await proveConsistency(reader, size, head.seq, nodeSha256);
  checkConsistency({ from: { size, root }, to: { size: head.seq, root: head.root } }, hashes, nodeSha256);
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
