import { Frontier, leafHash, TILE_WIDTH, type TileReader } from '../../../src/log/merkle.js';

/** A tree that is kept in memory, grown by a Frontier. */
export interface MemoryTree {
  readonly leaves: readonly Uint8Array[];
  readonly frontier: Frontier;
  readonly reader: TileReader;
}

/** A tree whose leaf n is the record of the decimal digits of n. */
export function memoryTree(size: number): MemoryTree {
  const levels: Uint8Array[][] = [[]];
  const frontier = new Frontier();
  for (let n = 0; n < size; n++) {
    const leaf = new Uint8Array(leafHash(new TextEncoder().encode(`${n}`)));
    levels[0]?.push(leaf);
    for (const { level, index, hash: completed } of frontier.append(leaf)) {
      levels[level] ??= [];
      if (levels[level].length !== index) throw new Error(`hash ${index} of level ${level} comes out of order`);
      levels[level].push(completed);
    }
  }
  const reader: TileReader = {
    readTile: async ({ level, index, width }) => {
      const hashes = levels[level]?.slice(index * TILE_WIDTH, index * TILE_WIDTH + width) ?? [];
      if (width < 1 || hashes.length !== width) throw new Error(`tile ${level}/${index} lacks ${width} hashes`);
      return new Uint8Array(Buffer.concat(hashes));
    },
  };
  return { leaves: levels[0] ?? [], frontier, reader };
}
