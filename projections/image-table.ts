import { type ChainId, HASH_BYTES, type ImageId } from '../src/model/digest.js';
import { DigestIndex, DigestRows, grown, NO_ROW, roomFor, rowsInSlots } from './digest-index.js';
import { byInstant, type Instant, instantOf, ZERO_TIMESTAMP } from '../src/model/timestamp.js';
import { checkNumbers, ImageChains } from './image-chains.js';
import { SnapshotDamage } from './snapshot-format.js';

/** Copy of a view in memory, including rows of deleted images; owned by its holder. */
interface RawImages {
  readonly digests: RawDigests;
  /** Creating event of each row; 0 when deleted. */
  readonly seqs: Float64Array<ArrayBuffer>;
  /** 1 + chain row of each row, or 0. */
  readonly chainOf: Uint32Array<ArrayBuffer>;
  /** 1 + parent row of each row, or 0. */
  readonly parents: Uint32Array<ArrayBuffer>;
  readonly times: CreationTimes;
  readonly chains: RawDigests;
}

/** Digests, and slots of an index of those present. */
interface RawDigests {
  readonly hashes: Uint8Array;
  readonly slots: Uint32Array;
}

/** A view as stored in a snapshot: without deleted rows, independent of its past. */
interface ImageColumns {
  readonly digests: DigestColumns;
  readonly seqs: Float64Array<ArrayBuffer>;
  readonly chainOf: Uint32Array<ArrayBuffer>;
  readonly parents: Uint32Array<ArrayBuffer>;
  readonly times: CreationTimes;
  /** Chains, in the order of their first image. */
  readonly chains: DigestColumns;
}

/** Creation time of each row, from the config; Go's zero time without one. */
interface CreationTimes {
  /** Since the epoch. */
  readonly seconds: Float64Array<ArrayBuffer>;
  readonly nanoseconds: Uint32Array<ArrayBuffer>;
}

/** Digests, with room behind them for more, and their rows in digest order. */
export interface DigestColumns {
  readonly hashes: Uint8Array<ArrayBuffer>;
  readonly order: Uint32Array<ArrayBuffer>;
}

/** Packs a view into columns. Yields after each, some milliseconds for a million images. */
export function* packImages({
  digests,
  seqs,
  chainOf,
  parents,
  times,
  chains,
}: RawImages): Generator<void, ImageColumns> {
  const numbers = numberRows(seqs);
  yield;
  const packedDigests = yield* packDigests(digests, numbers);
  const packedSeqs = packed(seqs, numbers, new Float64Array(numbers.count));
  yield;
  const packedParents = packed(parents, numbers, new Uint32Array(numbers.count));
  renumber(packedParents, numbers);
  yield;
  const packedChainOf = packed(chainOf, numbers, new Uint32Array(numbers.count));
  const chainNumbers = numberChains(packedChainOf, chains.hashes.length / HASH_BYTES);
  renumber(packedChainOf, chainNumbers);
  yield;
  const packedTimes = {
    seconds: packed(times.seconds, numbers, new Float64Array(numbers.count)),
    nanoseconds: packed(times.nanoseconds, numbers, new Uint32Array(numbers.count)),
  };
  yield;
  return {
    digests: packedDigests,
    seqs: packedSeqs,
    chainOf: packedChainOf,
    parents: packedParents,
    times: packedTimes,
    chains: yield* packDigests(chains, chainNumbers),
  };
}

/** New row numbers, from 1; 0 for a removed row. */
interface Numbers {
  readonly ofRow: Uint32Array;
  readonly count: number;
}

function numberRows(seqs: Float64Array): Numbers {
  const ofRow = new Uint32Array(seqs.length);
  let count = 0;
  for (let row = 0; row < seqs.length; row++) if (seqs[row] !== 0) ofRow[row] = ++count;
  return { ofRow, count };
}

function numberChains(chainOf: Uint32Array, rows: number): Numbers {
  const ofRow = new Uint32Array(rows);
  let count = 0;
  for (let at = 0; at < chainOf.length; at++) {
    const chain = chainOf[at] as number;
    if (chain > 0 && ofRow[chain - 1] === 0) ofRow[chain - 1] = ++count;
  }
  return { ofRow, count };
}

function* packDigests({ hashes, slots }: RawDigests, { ofRow, count }: Numbers): Generator<void, DigestColumns> {
  const packedHashes = new Uint8Array(count * HASH_BYTES);
  for (let row = 0; row < ofRow.length; row++) {
    const number = ofRow[row] as number;
    if (number === 0) continue;
    // By hand: `set` of a `subarray` allocates for every row.
    const [from, to] = [row * HASH_BYTES, (number - 1) * HASH_BYTES];
    for (let at = 0; at < HASH_BYTES; at++) packedHashes[to + at] = hashes[from + at] as number;
  }
  yield;
  const rows = rowsInSlots(slots);
  const order = new Uint32Array(count);
  let next = 0;
  for (let at = 0; at < rows.length; at++) {
    const number = ofRow[rows[at] as number] as number;
    if (number > 0) order[next++] = number - 1;
  }
  yield;
  return { hashes: packedHashes, order };
}

/** Copies the remaining rows into `into`, and returns it. */
function packed<Column extends Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(
  column: Column,
  { ofRow }: Numbers,
  into: Column,
): Column {
  for (let row = 0; row < column.length; row++) {
    const number = ofRow[row] as number;
    if (number > 0) into[number - 1] = column[row] as number;
  }
  return into;
}

/** Renumbers a column of 1 + row; 0 stays. */
function renumber(column: Uint32Array, { ofRow }: Numbers): void {
  for (let at = 0; at < column.length; at++) {
    const rowAndOne = column[at] as number;
    if (rowAndOne > 0) column[at] = ofRow[rowAndOne - 1] as number;
  }
}

/** Snapshot of image ids in creation order: 4 bytes each until accessed. */
export class ImageIds implements Iterable<ImageId> {
  readonly #digests: DigestRows;
  readonly #rows: Uint32Array;
  #members: DigestIndex | undefined;

  /** Keeps `digests` and `rows` uncopied; `rows` must not change. */
  constructor(digests: DigestRows, rows: Uint32Array) {
    this.#digests = digests;
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Whether `id` is included. The first call scans all ids. */
  has(id: ImageId): boolean {
    if (typeof id !== 'string') return false;
    this.#members ??= this.#indexed();
    return this.#members.find(id) !== NO_ROW;
  }

  *[Symbol.iterator](): Generator<ImageId, undefined> {
    for (const row of this.#rows) yield this.#digests.digest(row) as ImageId;
  }

  #indexed(): DigestIndex {
    const members = new DigestIndex(this.#digests, this.#rows.length);
    for (const row of this.#rows) members.add(row);
    return members;
  }
}

/**
 * Parents of images, by row: four 4-byte numbers each, 1 + row or 0. Children are a linked list
 * through the rows, so that one of 100,000 children is removed in constant time.
 */
class ImageTree {
  #parents: Uint32Array<ArrayBuffer>;
  #firstChildren: Uint32Array<ArrayBuffer>;
  #previousSiblings: Uint32Array<ArrayBuffer>;
  #nextSiblings: Uint32Array<ArrayBuffer>;

  /** Takes ownership of `parents` (1 + row or 0), all of which must be in range. */
  constructor(parents: Uint32Array<ArrayBuffer>) {
    this.#parents = parents;
    this.#firstChildren = new Uint32Array(parents.length);
    this.#previousSiblings = new Uint32Array(parents.length);
    this.#nextSiblings = new Uint32Array(parents.length);
    linkSiblings(parents, this.#firstChildren, this.#previousSiblings, this.#nextSiblings);
  }

  /** Makes room for at least `rows` rows; new ones have no parent and no children. */
  reserve(rows: number): void {
    if (rows <= this.#parents.length) return;
    const room = roomFor(rows);
    this.#parents = grown(this.#parents, room);
    this.#firstChildren = grown(this.#firstChildren, room);
    this.#previousSiblings = grown(this.#previousSiblings, room);
    this.#nextSiblings = grown(this.#nextSiblings, room);
  }

  /** Returns the parent's row, or -1. */
  parent(row: number): number {
    return (this.#parents[row] as number) - 1;
  }

  hasChildren(row: number): boolean {
    return this.#firstChildren[row] !== 0;
  }

  /** Returns the row of one child, or -1; the others follow by `nextSibling`. */
  firstChild(row: number): number {
    return (this.#firstChildren[row] as number) - 1;
  }

  /** Returns the row of another child of the same parent, or -1 after the last. */
  nextSibling(row: number): number {
    return (this.#nextSiblings[row] as number) - 1;
  }

  /** Returns the rows of the children, unordered. */
  children(row: number): number[] {
    const rows: number[] = [];
    for (let child = this.#firstChildren[row] as number; child > 0; child = this.#nextSiblings[child - 1] as number)
      rows.push(child - 1);
    return rows;
  }

  /** Sets or replaces the parent of `row`. */
  attach(row: number, parent: number): void {
    this.detach(row);
    this.#parents[row] = parent + 1;
    this.#pushChild(parent, row);
  }

  detach(row: number): void {
    const parent = this.#parents[row] as number;
    if (parent === 0) return;
    const previous = this.#previousSiblings[row] as number;
    const next = this.#nextSiblings[row] as number;
    if (previous === 0) this.#firstChildren[parent - 1] = next;
    else this.#nextSiblings[previous - 1] = next;
    if (next > 0) this.#previousSiblings[next - 1] = previous;
    this.#parents[row] = 0;
    this.#previousSiblings[row] = 0;
    this.#nextSiblings[row] = 0;
  }

  /** Removes the parent and the children of `row`. */
  isolate(row: number): void {
    this.detach(row);
    for (const child of this.children(row)) this.detach(child);
  }

  copyParents(rows: number): Uint32Array<ArrayBuffer> {
    return this.#parents.slice(0, rows);
  }

  #pushChild(parent: number, row: number): void {
    const next = this.#firstChildren[parent] as number;
    this.#nextSiblings[row] = next;
    if (next > 0) this.#previousSiblings[next - 1] = row + 1;
    this.#firstChildren[parent] = row + 1;
  }
}

// One loop over arrays without calls: an open runs it once, before it is optimized.
function linkSiblings(
  parents: Uint32Array,
  firstChildren: Uint32Array,
  previous: Uint32Array,
  next: Uint32Array,
): void {
  for (let row = 0; row < parents.length; row++) {
    const parent = parents[row] as number;
    if (parent === 0) continue;
    const first = firstChildren[parent - 1] as number;
    next[row] = first;
    if (first > 0) previous[first - 1] = row + 1;
    firstChildren[parent - 1] = row + 1;
  }
}

/** Facts about an image known without its config; others are in the config and the event. */
export interface ImageEntry {
  /** Seq of the event that created it. */
  readonly seq: number;
  readonly chainId: ChainId | undefined;
  /** From the config; absent without one, or for Go's zero time. */
  readonly created?: Instant | undefined;
}

/** An image by the places of its hashes. */
interface HashedImage {
  readonly image: number;
  readonly chain: number | undefined;
  readonly seq: number;
  readonly created?: Instant | undefined;
}

const NO_TIME = instantOf(ZERO_TIMESTAMP);

/** A table with at most this many deleted rows is not compacted. */
const FEW_ROWS = 64;

/**
 * Every image in creation order: a row in numeric arrays (72 bytes) and an index entry (12 to 24).
 * A million images are a few large arrays and no objects, and their snapshot is a copy. A deleted
 * image keeps its row until most rows are deleted; then `packImages` drops them.
 */
export class ImagesView {
  readonly digests: DigestRows;
  /** Rows of present images, by id. */
  readonly index: DigestIndex;
  readonly tree: ImageTree;
  readonly #chains: ImageChains;
  /** Creating event of each row; 0 when deleted. */
  #seqs: Float64Array<ArrayBuffer>;
  /** Creation time of each row; `NO_TIME` for none. */
  #seconds: Float64Array<ArrayBuffer>;
  #nanoseconds: Uint32Array<ArrayBuffer>;

  /** Takes ownership of `columns`. @throws {SnapshotDamage} when they are inconsistent */
  constructor(columns?: ImageColumns) {
    this.digests = new DigestRows(columns?.digests.hashes, columns?.digests.order.length);
    this.index = DigestIndex.ofOrdered(this.digests, columns?.digests.order ?? new Uint32Array(0));
    this.#seqs = columns?.seqs ?? new Float64Array(0);
    checkSeqs(this.#seqs, this.digests.length);
    this.#seconds = columns?.times.seconds ?? new Float64Array(0);
    this.#nanoseconds = columns?.times.nanoseconds ?? new Uint32Array(0);
    checkTimes(this.#seconds, this.#nanoseconds);
    const parents = columns?.parents ?? new Uint32Array(0);
    checkNumbers(parents, this.digests.length);
    this.tree = new ImageTree(parents);
    this.#chains = new ImageChains(columns && { ...columns.chains, chainOf: columns.chainOf });
  }

  /** Number of images. */
  get size(): number {
    return this.index.size;
  }

  has(id: ImageId): boolean {
    return this.index.find(id) !== NO_ROW;
  }

  get(id: ImageId): ImageEntry | undefined {
    const row = this.index.find(id);
    return row === NO_ROW ? undefined : this.#entry(row);
  }

  /** Snapshot of the ids, in creation order. */
  ids(): ImageIds {
    return this.idsWhere(() => true);
  }

  /** Snapshot of the ids of matching rows, in creation order. */
  idsWhere(isWanted: (row: number) => boolean): ImageIds {
    const rows = new Uint32Array(this.size);
    let count = 0;
    for (let row = 0; row < this.digests.length; row++) {
      if (this.#seqs[row] !== 0 && isWanted(row)) rows[count++] = row;
    }
    return new ImageIds(this.digests, count === rows.length ? rows : rows.slice(0, count));
  }

  /** Yields every image in creation order. */
  *[Symbol.iterator](): Generator<[ImageId, ImageEntry]> {
    for (let row = 0; row < this.digests.length; row++) {
      if (this.#seqs[row] !== 0) yield [this.digests.digest(row) as ImageId, this.#entry(row)];
    }
  }

  /** Does now what the first use of chains would. @throws {SnapshotDamage} when they are not in order */
  indexChains(): void {
    this.#chains.index();
  }

  /** Number of images whose root filesystem is this chain. */
  usesOfChain(chainId: ChainId): number {
    return this.#chains.usesOf(chainId);
  }

  /** Adds an image; a known one keeps its place. */
  add(id: ImageId, { seq, chainId, created = NO_TIME }: ImageEntry): void {
    let row = this.index.find(id);
    if (row === NO_ROW) row = this.#indexed(this.digests.push(id));
    else this.#chains.drop(row);
    this.#set(row, seq, created);
    this.#chains.set(row, chainId);
  }

  /** As `add`, by the hashes of 32 bytes at these places in `hashes`; returns the row. */
  addHash(hashes: Uint8Array, { image, chain, seq, created = NO_TIME }: HashedImage): number {
    let row = this.index.findHash(hashes, image);
    if (row === NO_ROW) row = this.#indexed(this.digests.pushHash(hashes, image));
    else this.#chains.drop(row);
    this.#set(row, seq, created);
    if (chain !== undefined) this.#chains.setHash(row, hashes, chain);
    return row;
  }

  /** Removes an image; its children lose their parent. */
  remove(id: ImageId): void {
    this.removeRow(this.index.find(id));
  }

  /** As `remove`, by row; nothing for NO_ROW. */
  removeRow(row: number): void {
    if (row === NO_ROW) return;
    this.index.remove(row);
    this.tree.isolate(row);
    this.#chains.drop(row);
    this.#seqs[row] = 0;
  }

  /** Sets or replaces the parent of `id`. */
  link(id: ImageId, parent: ImageId): void {
    const [row, parentRow] = [this.index.find(id), this.index.find(parent)];
    if (row !== NO_ROW && parentRow !== NO_ROW) this.tree.attach(row, parentRow);
  }

  /** Removes the parent of `id`. */
  unlink(id: ImageId): void {
    const row = this.index.find(id);
    if (row !== NO_ROW) this.tree.detach(row);
  }

  /** Whether enough rows are deleted to compact the view. */
  get isSparse(): boolean {
    const gone = this.digests.length - this.size;
    return gone > FEW_ROWS && gone > this.size;
  }

  /** Copies the mutable state: about 52 bytes per image. */
  copy(): RawImages {
    const rows = this.digests.length;
    const { chainOf, ...chains } = this.#chains.copy(rows);
    return {
      digests: { hashes: this.digests.hashes, slots: this.index.copySlots() },
      seqs: this.#seqs.slice(0, rows),
      chainOf,
      parents: this.tree.copyParents(rows),
      times: { seconds: this.#seconds.slice(0, rows), nanoseconds: this.#nanoseconds.slice(0, rows) },
      chains,
    };
  }

  #entry(row: number): ImageEntry {
    const created = { seconds: this.#seconds[row] as number, nanoseconds: this.#nanoseconds[row] as number };
    return {
      seq: this.#seqs[row] as number,
      chainId: this.#chains.at(row),
      created: byInstant(created, NO_TIME) === 0 ? undefined : created,
    };
  }

  #indexed(row: number): number {
    this.index.add(row);
    this.#reserve(row + 1);
    return row;
  }

  #set(row: number, seq: number, created: Instant): void {
    this.#seqs[row] = seq;
    this.#seconds[row] = created.seconds;
    this.#nanoseconds[row] = created.nanoseconds;
  }

  #reserve(rows: number): void {
    this.tree.reserve(rows);
    this.#chains.reserve(rows);
    if (rows <= this.#seqs.length) return;
    this.#seqs = grown(this.#seqs, roomFor(rows));
    this.#seconds = grown(this.#seconds, roomFor(rows));
    this.#nanoseconds = grown(this.#nanoseconds, roomFor(rows));
  }
}

// By index: an open runs these unoptimized, when an iterator costs more than its items.
function checkSeqs(seqs: Float64Array, rows: number): void {
  for (let at = 0; at < rows; at++) {
    const seq = seqs[at] as number;
    if (!(seq > 0 && seq <= Number.MAX_SAFE_INTEGER && Math.floor(seq) === seq)) {
      throw new SnapshotDamage(`it has an image of event ${seq}`);
    }
  }
}

function checkTimes(seconds: Float64Array, nanoseconds: Uint32Array): void {
  for (let at = 0; at < seconds.length; at++) {
    if (!Number.isSafeInteger(seconds[at]) || (nanoseconds[at] as number) >= 1e9) {
      throw new SnapshotDamage(`it has an image created at ${seconds[at]} s and ${nanoseconds[at]} ns`);
    }
  }
}
