import { type ChainId, HASH_BYTES, type ImageId } from '../src/model/digest.js';
import { DigestIndex, DigestRows, grown, NO_ROW, roomFor, rowsInSlots } from './digest-index.js';
import { ChainUses } from './layers.js';
import { SnapshotDamage } from './snapshot-format.js';

/** All of a view of images as it is in memory, with rows of deleted images. Nobody else changes it. */
interface RawImages {
  readonly digests: RawDigests;
  /** The event that created each; 0 when it is deleted. */
  readonly seqs: Float64Array<ArrayBuffer>;
  /** 1 + the row of the chain of each, or 0. */
  readonly chainOf: Uint32Array<ArrayBuffer>;
  /** 1 + the row of the parent of each, or 0. */
  readonly parents: Uint32Array<ArrayBuffer>;
  readonly chains: RawDigests;
}

/** Digests, and the slots of an index of those that are there. */
interface RawDigests {
  readonly hashes: Uint8Array;
  readonly slots: Uint32Array;
}

/** A view of images as it is in a snapshot: no row is of a deleted image, and nothing tells how it came to be. */
interface ImageColumns {
  readonly digests: DigestColumns;
  readonly seqs: Float64Array<ArrayBuffer>;
  readonly chainOf: Uint32Array<ArrayBuffer>;
  readonly parents: Uint32Array<ArrayBuffer>;
  /** The chains, in the order in which the images first name them. */
  readonly chains: DigestColumns;
}

/** Digests, and their rows in the order of the digests. */
export interface DigestColumns {
  readonly hashes: Uint8Array<ArrayBuffer>;
  readonly order: Uint32Array<ArrayBuffer>;
}

/** Makes columns of a view, and yields after each, which takes some milliseconds for a million images. */
export function* packImages({ digests, seqs, chainOf, parents, chains }: RawImages): Generator<void, ImageColumns> {
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
  return {
    digests: packedDigests,
    seqs: packedSeqs,
    chainOf: packedChainOf,
    parents: packedParents,
    chains: yield* packDigests(chains, chainNumbers),
  };
}

/** Returns what a generator returns, at once. */
export function finished<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** New numbers of rows, from 1 on; 0 for a row that goes. */
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
    // By hand: `set` of a `subarray` makes an object for every row.
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

/** Puts the values of the rows that stay into `into`, and returns it. */
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

/** Puts new numbers in place of 1 + row; 0 stays. */
function renumber(column: Uint32Array, { ofRow }: Numbers): void {
  for (let at = 0; at < column.length; at++) {
    const rowAndOne = column[at] as number;
    if (rowAndOne > 0) column[at] = ofRow[rowAndOne - 1] as number;
  }
}

/** Ids of images as they were at one moment, in the order of creation: 4 bytes each until they are asked for. */
export class ImageIds implements Iterable<ImageId> {
  readonly #digests: DigestRows;
  readonly #rows: Uint32Array;
  #members: DigestIndex | undefined;

  /** Over the digests in these rows; neither is copied, and `rows` must not change. */
  constructor(digests: DigestRows, rows: Uint32Array) {
    this.#digests = digests;
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Whether `id` is one of them, whatever it is. The first call costs a walk over all. */
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
 * Which image has which parent, by row: four numbers of 4 bytes an image, each 1 + a row, or 0. Children are a linked list through
 * the rows themselves, so that a parent with 100,000 children loses one in constant time.
 */
class ImageTree {
  #parents: Uint32Array<ArrayBuffer>;
  #firstChildren: Uint32Array<ArrayBuffer>;
  #previousSiblings: Uint32Array<ArrayBuffer>;
  #nextSiblings: Uint32Array<ArrayBuffer>;

  /** Over `parents`, 1 + the row of each row's parent or 0, which is then its own; each must name a row of it. */
  constructor(parents: Uint32Array<ArrayBuffer>) {
    this.#parents = parents;
    this.#firstChildren = new Uint32Array(parents.length);
    this.#previousSiblings = new Uint32Array(parents.length);
    this.#nextSiblings = new Uint32Array(parents.length);
    linkSiblings(parents, this.#firstChildren, this.#previousSiblings, this.#nextSiblings);
  }

  /** Makes room for `rows` rows at least; new ones have no parent and no children. */
  reserve(rows: number): void {
    if (rows <= this.#parents.length) return;
    const room = roomFor(rows);
    this.#parents = grown(this.#parents, room);
    this.#firstChildren = grown(this.#firstChildren, room);
    this.#previousSiblings = grown(this.#previousSiblings, room);
    this.#nextSiblings = grown(this.#nextSiblings, room);
  }

  /** The row of the parent; -1 when there is none. */
  parent(row: number): number {
    return (this.#parents[row] as number) - 1;
  }

  hasChildren(row: number): boolean {
    return this.#firstChildren[row] !== 0;
  }

  /** The rows of the children, in no particular order. */
  children(row: number): number[] {
    const rows: number[] = [];
    for (let child = this.#firstChildren[row] as number; child > 0; child = this.#nextSiblings[child - 1] as number)
      rows.push(child - 1);
    return rows;
  }

  /** Makes `parent` the parent of `row`, in place of any other. */
  attach(row: number, parent: number): void {
    this.detach(row);
    this.#parents[row] = parent + 1;
    this.#pushChild(parent, row);
  }

  /** Leaves `row` without a parent. */
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

  /** Leaves `row` without a parent and without children. */
  isolate(row: number): void {
    this.detach(row);
    for (const child of this.children(row)) this.detach(child);
  }

  /** Returns a copy of the parents of the first `rows` rows. */
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

// One loop over arrays, without calls: an open of a store runs it once, before it is compiled.
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

/** What is known of an image without reading its config; the rest is in the config and in the event. */
export interface ImageEntry {
  /** The event that created it. */
  readonly seq: number;
  readonly chainId: ChainId | undefined;
}

/** Rows of images that were deleted, up to which a table is not made anew. */
const FEW_ROWS = 64;

/**
 * Every image, in the order of creation: a row each in arrays of numbers, 60 bytes, and 12 to 24 in an index by digest. So a
 * million images are a few large arrays and no objects, and a snapshot of them is copied and not built. A deleted image leaves
 * its row, until more than half of the rows are such: then `compacted` gives a table without them.
 */
export class ImagesView {
  readonly digests: DigestRows;
  /** The rows of the images that are there, by their ids. */
  readonly index: DigestIndex;
  readonly tree: ImageTree;
  readonly #chains: ChainUses;
  /** The event that created the image in each row; 0 when it is deleted. */
  #seqs: Float64Array<ArrayBuffer>;
  /** 1 + the row of the chain of the image in each row; 0 when it has none. */
  #chainOf: Uint32Array<ArrayBuffer>;

  /** Makes the view of these columns, which are then its own. @throws {SnapshotDamage} when they are of no images */
  constructor(columns?: ImageColumns) {
    this.digests = new DigestRows(columns?.digests.hashes);
    this.index = DigestIndex.ofOrdered(this.digests, columns?.digests.order ?? new Uint32Array(0));
    this.#seqs = columns?.seqs ?? new Float64Array(0);
    this.#chainOf = columns?.chainOf ?? new Uint32Array(0);
    checkSeqs(this.#seqs);
    const parents = columns?.parents ?? new Uint32Array(0);
    checkNumbers(parents, this.digests.length);
    this.tree = new ImageTree(parents);
    const chains = new DigestRows(columns?.chains.hashes);
    this.#chains = new ChainUses(chains, DigestIndex.ofOrdered(chains, columns?.chains.order ?? new Uint32Array(0)));
    checkNumbers(this.#chainOf, chains.length);
    for (let row = 0; row < this.#chainOf.length; row++) {
      const chain = this.#chainOf[row] as number;
      if (chain > 0) this.#chains.addTo(chain - 1);
    }
  }

  /** How many images there are. */
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

  /** The ids as they are now, in the order of creation. */
  ids(): ImageIds {
    return this.idsWhere(() => true);
  }

  /** The ids of the images whose rows are as asked for, as they are now, in the order of creation. */
  idsWhere(isWanted: (row: number) => boolean): ImageIds {
    const rows = new Uint32Array(this.size);
    let count = 0;
    for (let row = 0; row < this.digests.length; row++) {
      if (this.#seqs[row] !== 0 && isWanted(row)) rows[count++] = row;
    }
    return new ImageIds(this.digests, count === rows.length ? rows : rows.slice(0, count));
  }

  /** Every image, in the order of creation. */
  *[Symbol.iterator](): Generator<[ImageId, ImageEntry]> {
    for (let row = 0; row < this.digests.length; row++) {
      if (this.#seqs[row] !== 0) yield [this.digests.digest(row) as ImageId, this.#entry(row)];
    }
  }

  /** How many images have a chain as their root filesystem. */
  usesOfChain(chainId: ChainId): number {
    return this.#chains.of(chainId);
  }

  /** Adds an image; one that is there already keeps its place. */
  add(id: ImageId, { seq, chainId }: ImageEntry): void {
    let row = this.index.find(id);
    if (row === NO_ROW) {
      row = this.digests.push(id);
      this.index.add(row);
      this.#reserve(row + 1);
    } else {
      this.#dropChain(row);
    }
    this.#seqs[row] = seq;
    this.#chainOf[row] = chainId === undefined ? 0 : this.#chains.add(chainId) + 1;
  }

  /** Removes an image; its children are left without a parent. */
  remove(id: ImageId): void {
    const row = this.index.find(id);
    if (row === NO_ROW) return;
    this.index.remove(row);
    this.tree.isolate(row);
    this.#dropChain(row);
    this.#seqs[row] = 0;
  }

  /** Makes `parent` the parent of `id`, in place of any other. */
  link(id: ImageId, parent: ImageId): void {
    const [row, parentRow] = [this.index.find(id), this.index.find(parent)];
    if (row !== NO_ROW && parentRow !== NO_ROW) this.tree.attach(row, parentRow);
  }

  /** Leaves `id` without a parent. */
  unlink(id: ImageId): void {
    const row = this.index.find(id);
    if (row !== NO_ROW) this.tree.detach(row);
  }

  /** Whether so many rows are of deleted images that the view is better made anew. */
  get isSparse(): boolean {
    const gone = this.digests.length - this.size;
    return gone > FEW_ROWS && gone > this.size;
  }

  /** Returns all of the view, what may change copied: about 40 bytes an image. */
  copy(): RawImages {
    const rows = this.digests.length;
    return {
      digests: { hashes: this.digests.hashes, slots: this.index.copySlots() },
      seqs: this.#seqs.slice(0, rows),
      chainOf: this.#chainOf.slice(0, rows),
      parents: this.tree.copyParents(rows),
      chains: { hashes: this.#chains.digests.hashes, slots: this.#chains.index.copySlots() },
    };
  }

  #entry(row: number): ImageEntry {
    const chain = this.#chainOf[row] as number;
    const chainId = chain === 0 ? undefined : (this.#chains.digests.digest(chain - 1) as ChainId);
    return { seq: this.#seqs[row] as number, chainId };
  }

  #reserve(rows: number): void {
    this.tree.reserve(rows);
    if (rows <= this.#seqs.length) return;
    this.#seqs = grown(this.#seqs, roomFor(rows));
    this.#chainOf = grown(this.#chainOf, roomFor(rows));
  }

  #dropChain(row: number): void {
    const chain = this.#chainOf[row] as number;
    if (chain > 0) this.#chains.drop(chain - 1);
    this.#chainOf[row] = 0;
  }
}

// By index: an open of a store runs these before they are compiled, and then an iterator costs more than what it gives.
function checkNumbers(numbers: Uint32Array, most: number): void {
  for (let at = 0; at < numbers.length; at++) {
    if ((numbers[at] as number) > most) throw new SnapshotDamage(`it has no row ${numbers[at]}`);
  }
}

function checkSeqs(seqs: Float64Array): void {
  for (let at = 0; at < seqs.length; at++) {
    const seq = seqs[at] as number;
    if (!(seq > 0 && seq <= Number.MAX_SAFE_INTEGER && Math.floor(seq) === seq)) {
      throw new SnapshotDamage(`it has an image of event ${seq}`);
    }
  }
}
