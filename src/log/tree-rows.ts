import { isStoreError, StoreError, throwIfAborted } from '../errors.js';
import { equalBytes } from '../model/bytes.js';
import { HASH_BYTES } from '../model/digest.js';
import { clearRows, indexSubjects, lastRowKey } from './subject-index.js';
import { lastRowEnd, leavesOfRow, spanOfKey } from './event-rows.js';
import { eventKey, seqOfKey, TREE_PREFIX, treeKey } from './rows.js';
import { missingEvent, readEnd } from './event-pages.js';
import { rowsOfKind } from './stored-rows.js';
import type { Batch, Head, LogSource, RenewOptions, WriteBatch } from './log.js';
import {
  type CompletedHash,
  Frontier,
  hashesOnLevel,
  hashInTile,
  joinHashes,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  type TileReader,
} from './merkle.js';

/*
 * Rows of the Merkle tree. Leaf n is the record of seq n + 1; its hash is made from the event's row. Each
 * hash of a higher tile level has its own row, written once, in the batch of the event that
 * completes its subtree: no tile is ever rewritten as it fills.
 */

const TREE_ROWS = rowsOfKind(TREE_PREFIX);
/** Rows per read or write: those of a quarter of a million events. */
const ROWS_AT_A_TIME = 1_000;

/** Hashes above the leaves by `level/index`, for a log without tree rows. */
export type ComputedHashes = ReadonlyMap<string, Uint8Array>;

interface OpenTree {
  /** The tree, or the error that explains its absence (read-only). */
  readonly tree: Frontier | StoreError;
  /** Set when the rows are incomplete and may not be written. */
  readonly computedHashes?: ComputedHashes;
}

/**
 * Resolves with the tree of the first `size` events, from its rows. If they are incomplete,
 * recomputes it from the events and, unless read-only, writes the rows durably. A corrupt log stays
 * readable up to the damage.
 * @throws {StoreError} LOG_CORRUPT for a writable log, when an event or tree row is corrupt or
 *   missing; any error of a write
 */
export async function openTree(source: LogSource, size: number, readOnly: boolean): Promise<OpenTree> {
  try {
    const reader: TileReader = { readTile: (tile) => readTileRows(source, tile) };
    if (await hasTreeRows(source, size)) return { tree: await Frontier.read(reader, size) };
    if (readOnly) return await computeTree(source, size);
    const write: WriteBatch = (batch) => batch.write({ sync: true });
    // First: without this row, a partial tree is recognized as incomplete.
    const last = lastTreeRowKey(size);
    if (last !== undefined) await write(source.database.batch().del(last));
    // Rows of a longer, earlier log would mix with the new ones.
    await clearRows(source.database, TREE_ROWS, write);
    return { tree: await writeTreeRows(source, size, { write }) };
  } catch (error) {
    if (readOnly && isStoreError(error, 'LOG_CORRUPT')) return { tree: error };
    throw error;
  }
}

async function computeTree(source: LogSource, size: number): Promise<OpenTree> {
  const computedHashes = new Map<string, Uint8Array>();
  const tree = await growTree(source, size, (completed) => {
    for (const { level, index, hash } of completed) computedHashes.set(`${level}/${index}`, hash);
  });
  return { tree, computedHashes };
}

/** Key of the last row, the mark of a complete tree; undefined when it has no rows. */
function lastTreeRowKey(size: number): Uint8Array | undefined {
  const rows = hashesOnLevel(1, size);
  return rows === 0 ? undefined : treeKey(1, rows - 1);
}

/** Adds the rows of completed subtrees to `batch`. */
export function putTreeRows(batch: Batch, completed: readonly CompletedHash[]): void {
  for (const { level, index, hash } of completed) batch.put(treeKey(level, index), hash);
}

/**
 * Resolves with a tile's hashes: leaf hashes checked against their records, higher ones unchecked,
 * from `computed` when given.
 * @throws {StoreError} LOG_CORRUPT for a lost or corrupt event or tree row (`rebuild` restores
 *   rows)
 */
export async function readTileRows(
  source: LogSource,
  { level, index, width }: Tile,
  computed?: ComputedHashes,
): Promise<Uint8Array> {
  const first = index * TILE_WIDTH;
  if (level === 0) return joinHashes(await leafHashes(source, first + 1, first + width));
  const rows = computed ?? (await rowsOfLevel(source, { level, first, last: first + width - 1 }));
  const hashes = Array.from({ length: width }, (_, at) => {
    const hash = rows.get(`${level}/${first + at}`);
    if (hash?.length !== HASH_BYTES) throw damagedRow(level, first + at);
    return hash;
  });
  return joinHashes(hashes);
}

/**
 * Whether the rows that appending needs (the last tile of each level) exist, and none after them.
 * Rows are written with their events, so the last implies those before; readers report any that
 * were lost since. One read per level, however long the log.
 */
async function hasTreeRows({ database, failure }: LogSource, size: number): Promise<boolean> {
  try {
    for (let level = 1; ; level++) {
      const hashes = hashesOnLevel(level, size);
      const first = Math.max(0, Math.ceil(hashes / TILE_WIDTH) - 1) * TILE_WIDTH;
      // No level follows the first empty one: check the rest of the rows instead.
      const lt = hashes === 0 ? TREE_ROWS.lt : treeKey(level + 1, 0);
      const expected = hashes - first;
      const found = await database.keys({ gte: treeKey(level, first), lt, limit: expected + 1 }).all();
      if (found.length !== expected) return false;
      if (!found.every((key, at) => isTreeKey(key, { level, index: first + at }))) return false;
      if (hashes === 0) return true;
    }
  } catch (cause) {
    throw failure(cause);
  }
}

/**
 * Resolves with the tree of the first `size` events, computed from their leaf hashes alone. `take`
 * gets completed hashes above them, for some hundred events at a time.
 * @throws {StoreError} LOG_CORRUPT when an event is corrupt or missing; any error of `take`
 */
async function growTree(
  source: LogSource,
  size: number,
  take: (completed: readonly CompletedHash[]) => void,
): Promise<Frontier> {
  const frontier = new Frontier();
  for (let index = 0; frontier.size < size; index++) {
    const tile = tileOfTree(0, index, size);
    const leaves = await readTileRows(source, tile);
    const completed: CompletedHash[] = [];
    for (let at = 0; at < tile.width; at++) {
      for (const hash of frontier.append(hashInTile(leaves, at))) completed.push(hash);
    }
    take(completed);
  }
  return frontier;
}

interface TreeWriteOptions {
  readonly write: WriteBatch;
  /** What the events must give. */
  readonly expected?: Head | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Yields the position of every hash above the leaves, in key order. */
function* hashesAboveLeaves(size: number): Generator<{ readonly level: number; readonly index: number }> {
  for (let level = 1; hashesOnLevel(level, size) > 0; level++) {
    for (let index = 0; index < hashesOnLevel(level, size); index++) yield { level, index };
  }
}

function isTreeKey(key: Uint8Array, { level, index }: { readonly level: number; readonly index: number }): boolean {
  return key.length === treeKey(level, index).length && key[1] === level && seqOfKey(key) === index;
}

/** The leaf hashes of events `first` to `last`. */
async function leafHashes(source: LogSource, first: number, last: number): Promise<Uint8Array[]> {
  const rows = await rowsBetween(source, eventKey(first), eventKey(lastRowEnd(last)));
  const hashes: Uint8Array[] = [];
  for (const [key, row] of rows) {
    const next = first + hashes.length;
    if (next > last) break;
    // A row that begins later leaves a gap.
    const end = seqOfKey(key);
    if (spanOfKey(row, end).first > next) throw missingEvent(next);
    leavesOfRow(row, end, (hash, seq) => {
      if (seq >= first && seq <= last) hashes.push(hash);
    });
  }
  if (first + hashes.length <= last) throw missingEvent(first + hashes.length);
  return hashes;
}

async function rowsOfLevel(
  source: LogSource,
  { level, first, last }: { readonly level: number; readonly first: number; readonly last: number },
): Promise<ComputedHashes> {
  const rows = await rowsBetween(source, treeKey(level, first), treeKey(level, last));
  return new Map(rows.map(([key, hash]) => [`${level}/${seqOfKey(key)}`, hash]));
}

async function rowsBetween(
  { database, failure }: LogSource,
  first: Uint8Array,
  last: Uint8Array,
): Promise<[Uint8Array, Uint8Array][]> {
  try {
    return await database.iterator({ gte: first, lte: last }).all();
  } catch (cause) {
    throw failure(cause);
  }
}

function damagedRow(level: number, index: number): StoreError {
  return new StoreError(
    'LOG_CORRUPT',
    `hash ${index} on level ${level} of the log's tree is missing or cut short, expected ${HASH_BYTES} bytes`,
    { data: { level, index, remedy: 'rebuild' } },
  );
}

/**
 * Rewrites every row of the tree of the first `size` events, durably, removes stray ones, and
 * resolves with the tree; throws what `write` throws. Rows are replaced in place: none that was
 * there is ever missing, and a crash makes nothing worse.
 * @throws {StoreError} LOG_CORRUPT when an event is corrupt or missing, or the events do not give
 *   `expected.root`: nothing was written; ABORTED
 */
async function writeTreeRows(
  source: LogSource,
  size: number,
  { write, expected, signal }: TreeWriteOptions,
): Promise<Frontier> {
  const hashes: CompletedHash[] = [];
  const tree = await growTree(source, size, (completed) => {
    throwIfAborted(signal);
    for (const hash of completed) hashes.push(hash);
  });
  if (expected !== undefined && !equalBytes(tree.root(), expected.root)) {
    const message = `the events up to seq ${size} are not those that were appended: their tree has another root`;
    throw new StoreError('LOG_CORRUPT', message, { data: { seq: size } });
  }
  for (let at = 0; at < hashes.length; at += ROWS_AT_A_TIME) {
    const batch = source.database.batch();
    putTreeRows(batch, hashes.slice(at, at + ROWS_AT_A_TIME));
    await write(batch);
  }
  await removeStrays(source, size, write);
  return tree;
}

async function removeStrays({ database }: LogSource, size: number, write: WriteBatch): Promise<void> {
  const expected = hashesAboveLeaves(size);
  let next = expected.next();
  const batch = database.batch();
  for await (const key of database.keys(TREE_ROWS)) {
    if (next.done !== true && isTreeKey(key, next.value)) next = expected.next();
    else batch.del(key);
  }
  if (batch.length > 0) await write(batch);
  else await batch.close();
}

interface RenewedLog {
  readonly source: LogSource;
  readonly head: Head;
  readonly write: WriteBatch;
  /** Disables the subject index; resolves once no read uses it. */
  readonly withoutIndex: () => Promise<void>;
}

/**
 * Rebuilds the rows derived from the events: the tree, and if it is right, the subject index.
 * @throws {StoreError} LOG_CORRUPT, ABORTED; any error of `write`
 */
export async function renewRows(
  { source, head, write, withoutIndex }: RenewedLog,
  { onProgress, signal }: RenewOptions,
): Promise<void> {
  await writeTreeRows(source, head.seq, { write, expected: head, signal });
  await withoutIndex();
  await indexSubjects(source, head, { write, signal, onIndexed: (seq) => onProgress?.(seq, head.seq) });
}

/**
 * Durably marks the subject index and tree rows as incomplete, by deleting the last row of each:
 * the next open for writing rebuilds them.
 * @throws {StoreError} LOG_CORRUPT when the last event is corrupt; any error of a write
 */
export async function forgetDerivedRows(source: LogSource): Promise<void> {
  const end = await readEnd(source);
  const keys = [await lastRowKey(source, end), lastTreeRowKey(end.seq)].filter((key) => key !== undefined);
  if (keys.length === 0) return;
  const batch = source.database.batch();
  for (const key of keys) batch.del(key);
  await batch.write({ sync: true });
}
