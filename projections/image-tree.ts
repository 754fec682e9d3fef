import { grown, roomFor } from './grown.js';

/**
 * Which image has which parent, by row: four numbers of 4 bytes an image, each 1 + a row, or 0. Children are a linked list through
 * the rows themselves, so that a parent with 100,000 children loses one in constant time.
 */
export class ImageTree {
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
