import { type Sha256, sha256 } from '../../model/digest.js';
import { emptyRoot, nodeHash } from './node-hash.js';
import { hashesOnLevel, hashInTile, TILE_HEIGHT, TILE_WIDTH, type TileReader, tileOfTree } from './tile.js';

/** The hash of a perfect subtree: 2^height leaves. */
interface Peak {
  readonly height: number;
  readonly hash: Uint8Array;
}

/** A hash of level 1 or above that a tree has from now on, for its tile. */
export interface CompletedHash {
  readonly level: number;
  /** Among all hashes of its level, from 0. */
  readonly index: number;
  readonly hash: Uint8Array;
}

/**
 * The right edge of a Merkle tree: the perfect subtrees that make it up, at most one of each height. All that is needed
 * to append a leaf, at one node hash on average, and to give the root, at one for each of at most 53 subtrees.
 */
export class Frontier {
  readonly #hash: Sha256;
  readonly #peaks: Peak[];
  #size: number;

  constructor(hash: Sha256 = sha256) {
    this.#hash = hash;
    this.#peaks = [];
    this.#size = 0;
  }

  /** Resolves with the frontier of the first `size` leaves of a tree, from at most 255 hashes of each level of tiles. */
  static async read(reader: TileReader, size: number, hash: Sha256 = sha256): Promise<Frontier> {
    const frontier = new Frontier(hash);
    let top = 0;
    while (hashesOnLevel(top + 1, size) > 0) top++;
    for (let level = top; level >= 0; level--) {
      const hashes = hashesOnLevel(level, size);
      const width = hashes % TILE_WIDTH;
      if (width === 0) continue;
      const bytes = await reader.readTile(tileOfTree(level, Math.floor(hashes / TILE_WIDTH), size));
      for (let at = 0; at < width; at++) frontier.#push(hashInTile(bytes, at).slice(), level * TILE_HEIGHT);
    }
    return frontier;
  }

  /** Leaves of the tree. */
  get size(): number {
    return this.#size;
  }

  /** Appends a leaf hash. Returns the hashes of the tiles above that it completes, the lowest level first. */
  append(leaf: Uint8Array): CompletedHash[] {
    const completed: CompletedHash[] = [];
    this.#push(leaf, 0, completed);
    return completed;
  }

  /**
   * Appends a whole tile of leaves by the hash over it, without the leaves. Returns the hashes of the tiles above that it completes.
   * @throws {RangeError} when the last tile is not full
   */
  appendTile(hash: Uint8Array): CompletedHash[] {
    if (this.#size % TILE_WIDTH !== 0) throw new RangeError(`a tile of ${this.#size % TILE_WIDTH} leaves is not full`);
    const completed: CompletedHash[] = [];
    this.#push(hash, TILE_HEIGHT, completed);
    return completed;
  }

  /** Returns the RFC 6962 root of the tree. */
  root(): Uint8Array {
    const last = this.#peaks.at(-1);
    if (last === undefined) return emptyRoot(this.#hash);
    let root = last.hash;
    for (let at = this.#peaks.length - 2; at >= 0; at--)
      root = nodeHash((this.#peaks[at] as Peak).hash, root, this.#hash);
    return root;
  }

  /** Returns a frontier of the same tree that goes its own way. */
  copy(): Frontier {
    const copy = new Frontier(this.#hash);
    for (const peak of this.#peaks) copy.#peaks.push(peak);
    copy.#size = this.#size;
    return copy;
  }

  // Two subtrees of one height make one of the next, as a carry goes through a binary number.
  #push(subtree: Uint8Array, base: number, completed?: CompletedHash[]): void {
    this.#size += 2 ** base;
    let hash = subtree;
    let height = base;
    for (let left = this.#peaks.at(-1); left?.height === height; left = this.#peaks.at(-1)) {
      this.#peaks.pop();
      hash = nodeHash(left.hash, hash, this.#hash);
      height++;
      if (height % TILE_HEIGHT === 0) {
        completed?.push({ level: height / TILE_HEIGHT, index: this.#size / 2 ** height - 1, hash });
      }
    }
    this.#peaks.push({ height, hash });
  }
}
