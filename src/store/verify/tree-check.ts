import type { Reading, Report, StoredHash, StoredRecord, VerifySource, ViolationCode } from './verify-source.js';
import {
  type CompletedHash,
  emptyRoot,
  Frontier,
  hashesOnLevel,
  leafHash,
  MAX_TILE_LEVEL,
  tileHash,
  TILE_WIDTH,
} from '../../log/merkle.js';
import { equalBytes } from '../../model/bytes.js';
import { countBefore } from '../../model/collections.js';
import { bytesToHex, HASH_BYTES } from '../../model/digest.js';

/** A set of seqs added in ascending order, as ranges. */
export class SeqRanges {
  readonly #ranges: { readonly first: number; last: number }[] = [];

  add(seq: number): void {
    const range = this.#ranges.at(-1);
    if (range?.last === seq - 1) range.last = seq;
    else this.#ranges.push({ first: seq, last: seq });
  }

  has(seq: number): boolean {
    const range = this.#ranges[countBefore(this.#ranges.length, (place) => (this.#ranges[place]?.last ?? 0) < seq)];
    return range !== undefined && range.first <= seq;
  }
}

/** The stored hashes of one tile level, taken in order. */
class LevelCursor {
  readonly #level: number;
  readonly #pages: AsyncIterator<readonly StoredHash[]>;
  readonly #report: Report;
  #page: readonly StoredHash[] = [];
  #at = 0;
  #isDone = false;

  constructor(level: number, pages: AsyncIterable<readonly StoredHash[]>, report: Report) {
    this.#level = level;
    this.#pages = pages[Symbol.asyncIterator]();
    this.#report = report;
  }

  /** Resolves with the hash `index`, or undefined when missing. Call in ascending order. */
  async take(index: number): Promise<StoredHash | undefined> {
    let next = await this.#peek();
    while (next !== undefined && next.index < index) {
      this.#at += 1;
      next = await this.#peek();
    }
    if (next?.index !== index) return undefined;
    this.#at += 1;
    return next;
  }

  /** Reads to the end, and reports every hash beyond a level of `count`. */
  async finish(count: number): Promise<void> {
    for (let next = await this.#peek(); next !== undefined; next = await this.#peek()) {
      this.#at += 1;
      if (next.index < count) continue;
      const message = `the log is too short for hash ${next.index} on level ${this.#level} of its tree`;
      this.#report({ code: 'TILE_SUPERFLUOUS', place: next.place, message, expected: count, found: next.index });
    }
  }

  async #peek(): Promise<StoredHash | undefined> {
    while (this.#at >= this.#page.length && !this.#isDone) {
      const { value, done } = await this.#pages.next();
      this.#isDone = done === true;
      this.#page = done === true ? [] : value;
      this.#at = 0;
    }
    return this.#page[this.#at];
  }
}

/** The leaves of one tile as read. */
interface LeafTile {
  /** Of the tile; its first leaf is 256 times that. */
  readonly index: number;
  /** Stored hash of each leaf of the log in this tile; undefined when missing. */
  readonly kept: readonly (Uint8Array | undefined)[];
  /** Hash of each record; undefined when it is missing, or no record was read. */
  readonly made: readonly (Uint8Array | undefined)[];
}

/**
 * The tree's verdict on one leaf: its record and hash agree; the record was changed, as the hash
 * fits the tree; the hash was changed, as the record fits; they differ, and nothing decides which
 * was changed; or both are missing.
 */
export type LeafVerdict = 'whole' | 'record changed' | 'hash changed' | 'undecided' | 'missing';

/** A claimed root of the first `size` leaves, from 0 to those of the log. */
export interface TreeClaim {
  readonly size: number;
  readonly root: Uint8Array;
  readonly place: string;
  /** Reported when the root differs. */
  readonly code: ViolationCode & ('CHECKPOINT_FORKED' | 'SNAPSHOT_FOREIGN');
}

/** Leaves to continue with, and the verdict on each. */
interface Choice {
  /** Undefined when one is missing. */
  readonly leaves: readonly Uint8Array[] | undefined;
  readonly verdicts: LeafVerdict[];
}

/**
 * Recomputes the Merkle tree of a log from its leaves and compares it with stored hashes and
 * claimed roots. Survives a missing leaf as long as the hash over its tile is there.
 */
export class TreeCheck {
  readonly #source: VerifySource;
  readonly #reading: Reading;
  readonly #claims: readonly TreeClaim[];
  /** By size. */
  readonly #claimsAt = new Map<number, TreeClaim[]>();
  readonly #cursors = new Map<number, LevelCursor>();
  readonly #frontier = new Frontier();
  readonly #unchecked: TreeClaim[] = [];
  /** The first leaf from which the tree cannot be computed. */
  #lostAt: number | undefined;

  constructor(source: VerifySource, claims: readonly TreeClaim[], reading: Reading) {
    this.#source = source;
    this.#reading = reading;
    this.#claims = claims;
    for (const claim of claims) {
      const others = this.#claimsAt.get(claim.size);
      if (others === undefined) this.#claimsAt.set(claim.size, [claim]);
      else others.push(claim);
    }
    for (const claim of this.#claimsAt.get(0) ?? []) this.#compareRoot(claim, emptyRoot());
  }

  /** Appends the next tile, full unless it is the last. Resolves with each leaf's verdict. */
  async addTile(tile: LeafTile): Promise<LeafVerdict[]> {
    const isFull = tile.kept.length === TILE_WIDTH;
    const above = isFull && this.#lostAt === undefined ? await this.#cursor(1).take(tile.index) : undefined;
    const { leaves, verdicts } = this.#choose(tile, above);
    if (this.#lostAt !== undefined) return verdicts;
    if (leaves !== undefined && isFull && !this.#isClaimedWithin(tile)) await this.#appendTile(leaves, above);
    else if (leaves !== undefined) await this.#append(leaves, above);
    else if (above?.hash.length === HASH_BYTES) await this.#appendHash(tile, above);
    else this.#lose(tile);
    return verdicts;
  }

  /** Reports the rest: hashes beyond the end of the log, and claims that could not be checked. */
  async finish(): Promise<void> {
    for (let level = 1; level <= MAX_TILE_LEVEL; level++) {
      await this.#cursor(level).finish(hashesOnLevel(level, this.#source.size));
    }
    const unchecked = this.#unchecked.map(({ place }) => place);
    if (this.#lostAt === undefined && unchecked.length === 0) return;
    const from = this.#lostAt === undefined ? '' : `from event ${this.#lostAt + 1} on, `;
    const what = unchecked.length === 0 ? 'the tree' : `the tree, and so the root of ${unchecked.join(', ')},`;
    const message = `${from}${what} cannot be rebuilt: a leaf is missing or damaged`;
    this.#reading.report({ code: 'NOT_CHECKED', place: 'tree', message });
  }

  /** Whether there is a claim that ends between the leaves of `tile`. */
  #isClaimedWithin({ index }: LeafTile): boolean {
    const first = index * TILE_WIDTH;
    return this.#claims.some(({ size }) => size > first && size < first + TILE_WIDTH);
  }

  /** Appends a full tile at once, at half the cost of its leaves one by one. */
  async #appendTile(leaves: readonly Uint8Array[], above: StoredHash | undefined): Promise<void> {
    const hash = tileHash(leaves);
    const index = this.#frontier.size / TILE_WIDTH;
    this.#compareHash({ level: 1, index, hash }, above);
    for (const made of this.#frontier.appendTile(hash)) {
      this.#compareHash(made, await this.#cursor(made.level).take(made.index));
    }
    this.#compareRoots();
  }

  async #append(leaves: readonly Uint8Array[], above: StoredHash | undefined): Promise<void> {
    for (const leaf of leaves) {
      for (const made of this.#frontier.append(leaf)) {
        const kept = made.level === 1 ? above : await this.#cursor(made.level).take(made.index);
        this.#compareHash(made, kept);
      }
      this.#compareRoots();
    }
  }

  async #appendHash(tile: LeafTile, above: StoredHash): Promise<void> {
    const first = tile.index * TILE_WIDTH;
    const end = first + TILE_WIDTH;
    for (const claim of this.#claims) if (claim.size > first && claim.size < end) this.#unchecked.push(claim);
    for (const made of this.#frontier.appendTile(above.hash)) {
      this.#compareHash(made, await this.#cursor(made.level).take(made.index));
    }
    this.#compareRoots();
  }

  #lose({ index, kept, made }: LeafTile): void {
    const first = index * TILE_WIDTH;
    const isLost = (hash: Uint8Array | undefined, at: number): boolean =>
      hash === NO_LEAF || (hash === undefined && made[at] === undefined);
    this.#lostAt = first + kept.findIndex(isLost);
    for (const claim of this.#claims) if (claim.size > first) this.#unchecked.push(claim);
  }

  #choose(tile: LeafTile, above: StoredHash | undefined): Choice {
    if (tile.kept.includes(NO_LEAF)) return this.#chooseMade(tile, above);
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
      verdicts: decide(verdicts, decided),
    };
  }

  /** As `#choose` for a tile with a damaged row of several events, which has no leaf hashes to choose. */
  #chooseMade({ kept, made }: LeafTile, above: StoredHash | undefined): Choice {
    const asMade = wholeOf(made.map((hash, at) => hash ?? (kept[at] === NO_LEAF ? undefined : kept[at])));
    const isRight = asMade !== undefined && this.#witnessesFor(asMade, above) > 0;
    const verdicts = kept.map((hash, at) =>
      hash === NO_LEAF && made[at] === undefined ? 'missing' : verdictOf(hash, made[at]),
    );
    return {
      leaves: isRight ? asMade : undefined,
      verdicts: decide(verdicts, isRight ? 'hash changed' : 'record changed'),
    };
  }

  /** Number of witnesses (the hash over the tile, the claims) that agree with `leaves`. */
  #witnessesFor(leaves: readonly Uint8Array[], above: StoredHash | undefined): number {
    if (this.#lostAt !== undefined) return 0;
    const frontier = this.#frontier.copy();
    let agreeing = 0;
    for (const leaf of leaves) {
      const [completed] = frontier.append(leaf);
      if (completed !== undefined && above !== undefined && equalBytes(completed.hash, above.hash)) agreeing++;
      const claims = this.#claimsAt.get(frontier.size) ?? [];
      agreeing += claims.filter(({ root }) => equalBytes(root, frontier.root())).length;
    }
    return agreeing;
  }

  /** Compares the root of the leaves so far with what is claimed of them. */
  #compareRoots(): void {
    for (const claim of this.#claimsAt.get(this.#frontier.size) ?? []) this.#compareRoot(claim, this.#frontier.root());
  }

  #compareRoot({ size, root, place, code }: TreeClaim, made: Uint8Array): void {
    if (equalBytes(root, made)) return;
    const message = `${place} says another root of the first ${size} events than they have: they are not those that it was made of`;
    const [expected, found] = [bytesToHex(root), bytesToHex(made)];
    this.#reading.report({ code, place, message, seq: size, expected, found });
  }

  #compareHash({ level, index, hash }: CompletedHash, kept: StoredHash | undefined): void {
    const [which, expected] = [`the hash ${index} on level ${level} of the tree`, bytesToHex(hash)];
    if (kept === undefined) {
      const place = `tile ${level}/${index}`;
      this.#reading.report({ code: 'TILE_MISSING', place, message: `${which} is missing`, expected });
    } else if (!equalBytes(kept.hash, hash)) {
      const message = `${which} is not that of the events below it`;
      this.#reading.report({ code: 'TILE_WRONG', place: kept.place, message, expected, found: bytesToHex(kept.hash) });
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

function decide(verdicts: readonly LeafVerdict[], decided: LeafVerdict): LeafVerdict[] {
  return verdicts.map((verdict) => (verdict === 'undecided' ? decided : verdict));
}

function verdictOf(kept: Uint8Array | undefined, made: Uint8Array | undefined): LeafVerdict {
  if (kept === undefined && made === undefined) return 'missing';
  if (kept === undefined || made === undefined) return 'whole';
  return equalBytes(kept, made) ? 'whole' : 'undecided';
}

function wholeOf(leaves: readonly (Uint8Array | undefined)[]): readonly Uint8Array[] | undefined {
  return leaves.every((leaf) => leaf !== undefined) ? leaves : undefined;
}

/** In place of the leaf hash of a record whose row is not what its checksum says: fits no tree. */
const NO_LEAF = new Uint8Array(HASH_BYTES);

/** Up to 256 records, those of one tile, with their leaves. */
export interface RecordTile extends LeafTile {
  /** Undefined where one is missing. */
  readonly records: readonly (StoredRecord | undefined)[];
}

/** Yields the records of events 1 to `size` by tile, with the stored and computed hashes. */
export async function* recordTiles(
  pages: AsyncIterable<readonly StoredRecord[]>,
  size: number,
): AsyncGenerator<RecordTile> {
  for await (const { index, items } of tilesOf(pages, size, ({ seq }) => seq - 1)) {
    yield {
      index,
      records: items,
      kept: items.map((item) => (item?.sharedRow?.isWhole === false ? NO_LEAF : item?.leafHash)),
      made: items.map((item) => (isRecord(item) ? leafHash(item.record) : undefined)),
    };
  }
}

/** Yields the stored leaf hashes of events 1 to `size` by tile, without records. */
export async function* leafTiles(pages: AsyncIterable<readonly StoredHash[]>, size: number): AsyncGenerator<LeafTile> {
  for await (const { index, items } of tilesOf(pages, size, (item) => item.index)) {
    yield { index, kept: items.map((item) => item?.hash), made: items.map(() => undefined) };
  }
}

/** Groups items numbered from 0 into tiles, with a hole for each one missing before `size`. */
async function* tilesOf<Item>(
  pages: AsyncIterable<readonly Item[]>,
  size: number,
  numberOf: (item: Item) => number,
): AsyncGenerator<{ readonly index: number; readonly items: readonly (Item | undefined)[] }> {
  let index = 0;
  let tile = emptyTile<Item>(index, size);
  for await (const page of pages) {
    for (const item of page) {
      const number = numberOf(item);
      for (; Math.floor(number / TILE_WIDTH) > index; tile = emptyTile(index, size))
        yield { index: index++, items: tile };
      tile[number % TILE_WIDTH] = item;
    }
  }
  for (; tile.length > 0; tile = emptyTile(index, size)) yield { index: index++, items: tile };
}

function emptyTile<Item>(index: number, size: number): (Item | undefined)[] {
  const width = Math.min(TILE_WIDTH, Math.max(0, size - index * TILE_WIDTH));
  return Array.from({ length: width }, () => undefined);
}

function isRecord(item: StoredRecord | undefined): item is StoredRecord {
  return item !== undefined && item.record.length > 0;
}
