import { StoreError } from '../../errors.js';
import { equalBytes } from '../../model/bytes.js';
import type { Head, Log } from '../../log/log.js';
import {
  joinHashes,
  type CompletedHash,
  entriesPath,
  formatEntries,
  Frontier,
  hashInTile,
  leafHash,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  tileHash,
  tilePath,
  tilesOfTree,
} from '../../log/merkle.js';
import { HASH_BYTES } from '../../model/digest.js';

interface TreeFilesOptions {
  readonly log: Log;
  /** Head of the tree to back up. */
  readonly head: Head;
  /** Leaves in the previous backup, 0 without one. Of its full files only the size is checked. */
  readonly knownSize: number;
  /** Sizes of the existing files. */
  readonly files: ReadonlyMap<string, number>;
  readonly signal?: AbortSignal | undefined;
}

/** Yields the path of every tile and bundle in the backup of a tree of `size` leaves. */
export function* treePaths(size: number): Generator<string> {
  for (const tile of tilesOfTree(size)) {
    yield tilePath(tile);
    if (tile.level === 0) yield entriesPath(tile.index, tile.width);
  }
}

/**
 * Yields the tiles and bundles that the backup may lack. New ones are cross-checked: the records
 * give the leaf hashes, and these all hashes above them, up to the head's root.
 * @throws {StoreError} LOG_CORRUPT on a mismatch; the errors of reading the log; ABORTED
 */
export async function* treeFiles(
  options: TreeFilesOptions,
): AsyncGenerator<{ readonly path: string; readonly bytes: Uint8Array }> {
  const { log, head, knownSize } = options;
  const firstNew = Math.floor(knownSize / TILE_WIDTH);
  const frontier = await Frontier.read(log, firstNew * TILE_WIDTH);
  const grown = new Map<string, Uint8Array>();
  for await (const { index, records } of bundles(options, firstNew)) {
    const tile = tileOfTree(0, index, head.seq);
    const leaves = records.map(leafHash);
    if (index >= firstNew) grow(frontier, leaves, grown);
    yield { path: entriesPath(index, tile.width), bytes: formatEntries(records) };
    yield { path: tilePath(tile), bytes: joinHashes(leaves) };
  }
  if (!equalBytes(frontier.root(), head.root)) throw wrongHash('the root of its tree');
  for (const tile of tilesOfTree(head.seq)) {
    if (tile.level === 0 || hasTile(options, tile)) continue;
    const bytes = await log.readTile(tile);
    checkGrown(tile, bytes, grown);
    yield { path: tilePath(tile), bytes };
  }
}

interface Bundle {
  readonly index: number;
  readonly records: readonly Uint8Array[];
}

/** Yields the bundles from `firstNew` on, and earlier ones that are missing, in order. */
async function* bundles(options: TreeFilesOptions, firstNew: number): AsyncGenerator<Bundle> {
  const { head } = options;
  for (let index = 0; index < firstNew; index++) {
    if (!hasBundle(options, index)) yield* readBundles(options, index, (index + 1) * TILE_WIDTH);
  }
  yield* readBundles(options, firstNew, head.seq);
}

async function* readBundles(
  { log, signal }: TreeFilesOptions,
  firstIndex: number,
  lastSeq: number,
): AsyncGenerator<Bundle> {
  let index = firstIndex;
  let records: Uint8Array[] = [];
  for await (const page of log.entryPages({ from: firstIndex * TILE_WIDTH + 1, to: lastSeq, signal })) {
    for (const { record } of page) {
      if (records.push(record) < TILE_WIDTH) continue;
      yield { index, records };
      index += 1;
      records = [];
    }
  }
  if (records.length > 0) yield { index, records };
}

// Only its records tell a full bundle's size; each has two length bytes and at least one more.
function hasBundle(options: TreeFilesOptions, index: number): boolean {
  const size = options.files.get(entriesPath(index, TILE_WIDTH)) ?? 0;
  return size >= 3 * TILE_WIDTH && hasTile(options, { level: 0, index, width: TILE_WIDTH });
}

function hasTile({ knownSize, files }: TreeFilesOptions, tile: Tile): boolean {
  const known = tileOfTree(tile.level, tile.index, knownSize);
  return known.width === TILE_WIDTH && files.get(tilePath(tile)) === TILE_WIDTH * HASH_BYTES;
}

function grow(frontier: Frontier, leaves: readonly Uint8Array[], grown: Map<string, Uint8Array>): void {
  const take = ({ level, index, hash }: CompletedHash): void => void grown.set(`${level}/${index}`, hash);
  if (leaves.length < TILE_WIDTH) {
    for (const leaf of leaves) frontier.append(leaf).forEach(take);
    return;
  }
  const hash = tileHash(leaves);
  take({ level: 1, index: frontier.size / TILE_WIDTH, hash });
  frontier.appendTile(hash).forEach(take);
}

function checkGrown(tile: Tile, bytes: Uint8Array, grown: ReadonlyMap<string, Uint8Array>): void {
  for (let at = 0; at < tile.width; at++) {
    const index = tile.index * TILE_WIDTH + at;
    const expected = grown.get(`${tile.level}/${index}`);
    if (expected === undefined || equalBytes(expected, hashInTile(bytes, at))) continue;
    throw wrongHash(`hash ${index} on level ${tile.level} of its tree`);
  }
}

function wrongHash(which: string): StoreError {
  return new StoreError('LOG_CORRUPT', `cannot back up the log: ${which} is not what its events give`, {
    data: { remedy: 'rebuild' },
  });
}
