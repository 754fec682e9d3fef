import type { ImageId } from '../src/model/digest.js';
import { DigestIndex, NO_ROW } from './digest-index.js';
import type { DigestRows } from './digest-rows.js';

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
