import { Frontier } from '../../log/merkle/frontier.js';
import { emptyRoot, equalHashes } from '../../log/merkle/node-hash.js';
import { hashesOnLevel, MAX_TILE_LEVEL, TILE_WIDTH } from '../../log/merkle/tile.js';
import { bytesToHex, HASH_BYTES } from '../../model/digest.js';
import { nodeSha256 } from '../files/node-hash.js';
import { LevelCursor } from './level-cursor.js';
import type { Reading, StoredHash, VerifySource } from './verify-source.js';
import type { ViolationCode } from './violation.js';

/** The leaves of one tile as they were read. */
export interface LeafTile {
  /** Of the tile; its first leaf is 256 times that. */
  readonly index: number;
  /** For each leaf of the log in this tile its hash as it is kept; undefined when it is missing. */
  readonly kept: readonly (Uint8Array | undefined)[];
  /** For each the hash of its record; undefined when that is missing, or no record was read. */
  readonly made: readonly (Uint8Array | undefined)[];
}

/**
 * What the tree says of one leaf: its record and its hash agree; the record was changed, for the hash fits into the tree; the
 * hash was changed, for the record does; they differ, and nothing tells which was changed; or there is neither.
 */
export type LeafVerdict = 'whole' | 'record changed' | 'hash changed' | 'undecided' | 'missing';

/** Somebody's word on the root of the first `size` leaves, 0 to those of the log. */
export interface TreeClaim {
  readonly size: number;
  readonly root: Uint8Array;
  readonly place: string;
  /** What it is when the root is another. */
  readonly code: ViolationCode & ('CHECKPOINT_FORKED' | 'SNAPSHOT_FOREIGN');
}

/** Leaves to go on with, and what is to be thought of each. */
interface Choice {
  /** Undefined when one is missing. */
  readonly leaves: readonly Uint8Array[] | undefined;
  readonly verdicts: LeafVerdict[];
}

/**
 * The Merkle tree of a log, made anew from its leaves and compared with the hashes that are kept and the roots that are claimed.
 * A leaf that is missing does not end it as long as the hash over its tile is there.
 */
export class TreeCheck {
  readonly #source: VerifySource;
  readonly #reading: Reading;
  readonly #claims: readonly TreeClaim[];
  readonly #cursors = new Map<number, LevelCursor>();
  readonly #frontier = new Frontier(nodeSha256);
  readonly #unchecked: TreeClaim[] = [];
  /** The first leaf from which on the tree cannot be made. */
  #lostAt: number | undefined;

  constructor(source: VerifySource, claims: readonly TreeClaim[], reading: Reading) {
    this.#source = source;
    this.#reading = reading;
    this.#claims = claims;
    for (const claim of claims) if (claim.size === 0) this.#compareRoot(claim, emptyRoot(nodeSha256));
  }

  /** Appends the next tile, which is full unless it is the last. Resolves with the verdict on each leaf. */
  async addTile(tile: LeafTile): Promise<LeafVerdict[]> {
    const isFull = tile.kept.length === TILE_WIDTH;
    const above = isFull && this.#lostAt === undefined ? await this.#cursor(1).take(tile.index) : undefined;
    const { leaves, verdicts } = this.#choose(tile, above);
    if (this.#lostAt !== undefined) return verdicts;
    if (leaves !== undefined) await this.#append(leaves, above);
    else if (above?.hash.length === HASH_BYTES) await this.#appendHash(tile, above);
    else this.#lose(tile);
    return verdicts;
  }

  /** Says what is left: hashes that the log is too short for, and claims that could not be looked at. */
  async finish(): Promise<void> {
    for (let level = 1; level <= MAX_TILE_LEVEL; level++) {
      await this.#cursor(level).finish(hashesOnLevel(level, this.#source.size));
    }
    const unchecked = this.#unchecked.map(({ place }) => place);
    if (this.#lostAt === undefined && unchecked.length === 0) return;
    const from = this.#lostAt === undefined ? '' : `from event ${this.#lostAt + 1} on, `;
    const what = unchecked.length === 0 ? 'the tree' : `the tree, and so the root of ${unchecked.join(', ')},`;
    const message = `${from}${what} cannot be made anew: a leaf is missing`;
    this.#reading.report({ code: 'NOT_CHECKED', place: 'tree', message });
  }

  async #append(leaves: readonly Uint8Array[], above: StoredHash | undefined): Promise<void> {
    for (const leaf of leaves) {
      for (const { level, index, hash } of this.#frontier.append(leaf)) {
        const kept = level === 1 ? above : await this.#cursor(level).take(index);
        this.#compareHash({ level, index, hash }, kept);
      }
      for (const claim of this.#claimsAt(this.#frontier.size)) this.#compareRoot(claim, this.#frontier.root());
    }
  }

  async #appendHash(tile: LeafTile, above: StoredHash): Promise<void> {
    const first = tile.index * TILE_WIDTH;
    const end = first + TILE_WIDTH;
    for (const claim of this.#claims) if (claim.size > first && claim.size < end) this.#unchecked.push(claim);
    for (const { level, index, hash } of this.#frontier.appendTile(above.hash)) {
      this.#compareHash({ level, index, hash }, await this.#cursor(level).take(index));
    }
    for (const claim of this.#claimsAt(end)) this.#compareRoot(claim, this.#frontier.root());
  }

  #lose({ index, kept, made }: LeafTile): void {
    const first = index * TILE_WIDTH;
    this.#lostAt = first + kept.findIndex((hash, at) => hash === undefined && made[at] === undefined);
    for (const claim of this.#claims) if (claim.size > first) this.#unchecked.push(claim);
  }

  #choose(tile: LeafTile, above: StoredHash | undefined): Choice {
    const { kept, made } = tile;
    const verdicts = kept.map((hash, at) => verdictOf(hash, made[at]));
    const asKept = wholeOf(kept.map((hash, at) => hash ?? made[at]));
    if (!verdicts.includes('undecided') || asKept === undefined) return { leaves: asKept, verdicts };
    const asMade = wholeOf(made.map((hash, at) => hash ?? kept[at])) ?? asKept;
    const [forKept, forMade] = [this.#witnessesFor(asKept, above), this.#witnessesFor(asMade, above)];
    if (forKept === forMade) return { leaves: asKept, verdicts };
    const decided: LeafVerdict = forKept > forMade ? 'record changed' : 'hash changed';
    return {
      leaves: forKept > forMade ? asKept : asMade,
      verdicts: verdicts.map((verdict) => (verdict === 'undecided' ? decided : verdict)),
    };
  }

  /** How many of those who know the tree, the hash over the tile and the claims, agree when it goes on with `leaves`. */
  #witnessesFor(leaves: readonly Uint8Array[], above: StoredHash | undefined): number {
    if (this.#lostAt !== undefined) return 0;
    const frontier = this.#frontier.copy();
    let agreeing = 0;
    for (const leaf of leaves) {
      const [completed] = frontier.append(leaf);
      if (completed !== undefined && above !== undefined && equalHashes(completed.hash, above.hash)) agreeing++;
      agreeing += this.#claimsAt(frontier.size).filter(({ root }) => equalHashes(root, frontier.root())).length;
    }
    return agreeing;
  }

  #claimsAt(size: number): readonly TreeClaim[] {
    return this.#claims.filter((claim) => claim.size === size);
  }

  #compareRoot({ size, root, place, code }: TreeClaim, made: Uint8Array): void {
    if (equalHashes(root, made)) return;
    this.#reading.report({
      code,
      place,
      message: `${place} says another root of the first ${size} events than they have: they are not those that it was made of`,
      seq: size,
      expected: bytesToHex(root),
      found: bytesToHex(made),
    });
  }

  #compareHash(
    { level, index, hash }: { readonly level: number; readonly index: number; readonly hash: Uint8Array },
    kept: StoredHash | undefined,
  ): void {
    if (kept === undefined) {
      const place = `tile ${level}/${index}`;
      const message = `the hash ${index} on level ${level} of the tree is missing`;
      this.#reading.report({ code: 'TILE_MISSING', place, message, expected: bytesToHex(hash) });
    } else if (!equalHashes(kept.hash, hash)) {
      this.#reading.report({
        code: 'TILE_WRONG',
        place: kept.place,
        message: `the hash ${index} on level ${level} of the tree is not that of the events below it`,
        expected: bytesToHex(hash),
        found: bytesToHex(kept.hash),
      });
    }
  }

  #cursor(level: number): LevelCursor {
    const known = this.#cursors.get(level);
    if (known !== undefined) return known;
    const cursor = new LevelCursor(level, this.#source.hashes(level, this.#reading), this.#reading.report);
    this.#cursors.set(level, cursor);
    return cursor;
  }
}

function verdictOf(kept: Uint8Array | undefined, made: Uint8Array | undefined): LeafVerdict {
  if (kept === undefined && made === undefined) return 'missing';
  if (kept === undefined || made === undefined) return 'whole';
  return equalHashes(kept, made) ? 'whole' : 'undecided';
}

function wholeOf(leaves: readonly (Uint8Array | undefined)[]): readonly Uint8Array[] | undefined {
  return leaves.every((leaf) => leaf !== undefined) ? leaves : undefined;
}
