import { leafHash } from '../../log/leaf-hash.js';
import { TILE_WIDTH } from '../../log/merkle/tile.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { LeafTile } from './tree-check.js';
import type { StoredHash, StoredRecord } from './verify-source.js';

/** Up to 256 records, those of one tile, with their leaves. */
export interface RecordTile extends LeafTile {
  /** Undefined where one is missing. */
  readonly records: readonly (StoredRecord | undefined)[];
}

/** Gives the records of events 1 to `size` a tile at a time, each with the hash that is kept of it and that of its bytes. */
export async function* recordTiles(records: AsyncIterable<StoredRecord>, size: number): AsyncGenerator<RecordTile> {
  for await (const { index, items } of tilesOf(records, size, ({ seq }) => seq - 1)) {
    yield {
      index,
      records: items,
      kept: items.map((item) => item?.leafHash),
      made: items.map((item) => (isRecord(item) ? leafHash(item.record, nodeSha256) : undefined)),
    };
  }
}

/** Gives the leaf hashes of events 1 to `size` as they are kept, a tile at a time, and no records. */
export async function* leafTiles(hashes: AsyncIterable<StoredHash>, size: number): AsyncGenerator<LeafTile> {
  for await (const { index, items } of tilesOf(hashes, size, (item) => item.index)) {
    yield { index, kept: items.map((item) => item?.hash), made: items.map(() => undefined) };
  }
}

/** Puts items that are numbered from 0 into tiles, with a hole for each that is missing before `size`. */
async function* tilesOf<Item>(
  items: AsyncIterable<Item>,
  size: number,
  numberOf: (item: Item) => number,
): AsyncGenerator<{ readonly index: number; readonly items: readonly (Item | undefined)[] }> {
  let index = 0;
  let tile = emptyTile<Item>(index, size);
  for await (const item of items) {
    const number = numberOf(item);
    for (; Math.floor(number / TILE_WIDTH) > index; tile = emptyTile(index, size))
      yield { index: index++, items: tile };
    tile[number % TILE_WIDTH] = item;
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
