import type { ChainId, ImageId } from '../src/model/digest.js';
import { ChainUses } from './chain-uses.js';
import { DigestIndex, NO_ROW } from './digest-index.js';
import { DigestRows } from './digest-rows.js';
import { grown, roomFor } from './grown.js';
import type { ImageColumns, RawImages } from './image-columns.js';
import { ImageIds } from './image-ids.js';
import { ImageTree } from './image-tree.js';
import { SnapshotDamage } from './snapshot-damage.js';

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
