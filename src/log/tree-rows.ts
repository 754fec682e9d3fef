import { isStoreError, StoreError, throwIfAborted } from '../errors.js';
import { HASH_BYTES } from '../model/digest.js';
import { clearRows, indexSubjects, lastRowKey } from './subject-index.js';
import { missingEvent } from './event-pages.js';
import { eventKey, leafHashOfRow, seqOfKey, TREE_PREFIX, treeKey } from './rows.js';
import { type Batch, type Head, type LogSource, readEnd, type RenewOptions, type WriteBatch } from './log.js';
import {
  type CompletedHash,
  equalHashes,
  Frontier,
  hashesOnLevel,
  hashInTile,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  type TileReader,
} from './merkle.js';

/*
 * The hashes of the Merkle tree that stand in rows. Leaf n is the record of seq n + 1, and its hash stands in the row of
 * the event. Of the levels of tiles above, each hash has a row of its own, written once, in the batch of the event that
 * completes its subtree: so no tile is ever written a second time for being fuller.
 */

/** Rows of a log, all of them. */
const TREE_ROWS = { gte: Uint8Array.of(TREE_PREFIX), lt: Uint8Array.of(TREE_PREFIX + 1) };
/** Rows that are read or written at a time: those of a quarter of a million events. */
const ROWS_AT_A_TIME = 1_000;

/** Hashes above the leaves by `level/index`: those of a log that has no rows of them. */
export type ComputedHashes = ReadonlyMap<string, Uint8Array>;

/** The tree of a log that was just opened. */
interface OpenTree {
  /** Or why it cannot be told, of a log that is for reading only. */
  readonly tree: Frontier | StoreError;
  /** Given when its rows are not whole, and may not be written. */
  readonly computedHashes?: ComputedHashes;
}

/**
 * Resolves with the tree of the first `size` events: from its rows; or where these are not whole, from the events, and unless
 * the log is for reading only, the rows are durable then. A damaged log can be read up to the damage.
 * @throws {StoreError} LOG_CORRUPT for a log to be written, when an event or a row of the tree is damaged or missing; whatever
 *   the database throws at a write
 */
export async function openTree(source: LogSource, size: number, readOnly: boolean): Promise<OpenTree> {
  try {
    const reader: TileReader = { readTile: (tile) => readTileRows(source, tile) };
    if (await hasTreeRows(source, size)) return { tree: await Frontier.read(reader, size) };
    return readOnly ? await computeTree(source, size) : { tree: await writeTreeRows(source, size) };
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

/** Returns the key of the row that is written last of the tree of `size` leaves, and tells that it is whole; undefined when it has no rows. */
function lastTreeRowKey(size: number): Uint8Array | undefined {
  const rows = hashesOnLevel(1, size);
  return rows === 0 ? undefined : treeKey(1, rows - 1);
}

/** Puts the rows of completed subtrees into `batch`. */
export function putTreeRows(batch: Batch, completed: readonly CompletedHash[]): void {
  for (const { level, index, hash } of completed) batch.put(treeKey(level, index), hash);
}

/**
 * Resolves with the hashes of a tile, those of leaves after their records proved to have them; those above are not checked,
 * and taken from `computed` where that is given.
 * @throws {StoreError} LOG_CORRUPT when an event is damaged or missing, or a row of the tree is, which `rebuild` makes again
 */
export async function readTileRows(
  source: LogSource,
  { level, index, width }: Tile,
  computed?: ComputedHashes,
): Promise<Uint8Array> {
  const first = index * TILE_WIDTH;
  if (level === 0) return joined(await leafHashes(source, first + 1, first + width));
  const rows = computed ?? (await rowsOfLevel(source, { level, first, last: first + width - 1 }));
  const hashes = Array.from({ length: width }, (_, at) => {
    const hash = rows.get(`${level}/${first + at}`);
    if (hash?.length !== HASH_BYTES) throw damagedRow(level, first + at);
    return hash;
  });
  return joined(hashes);
}

/**
 * Whether the rows of the tree of `size` leaves are there as far as appending needs them, the last tile of each level, and none behind
 * them. A row is written in the batch of its event, so those before are there when the last is; what an accident took of them since
 * is said by whoever reads them. Costs a read for each level, however long the log.
 */
async function hasTreeRows({ database, failure }: LogSource, size: number): Promise<boolean> {
  try {
    for (let level = 1; ; level++) {
      const hashes = hashesOnLevel(level, size);
      const first = Math.max(0, Math.ceil(hashes / TILE_WIDTH) - 1) * TILE_WIDTH;
      // No level is above the first that is empty: the rest of the rows is looked at in its place.
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
 * Resolves with the tree of the first `size` events, grown from their leaf hashes alone. `take` is given the hashes above
 * them as they are completed, those of some hundred events at a time.
 * @throws {StoreError} LOG_CORRUPT when an event is damaged or missing; whatever `take` throws
 */
async function growTree(
  source: LogSource,
  size: number,
  take: (completed: readonly CompletedHash[]) => Promise<void> | void,
): Promise<Frontier> {
  const frontier = new Frontier();
  for (let index = 0; frontier.size < size; index++) {
    const tile = tileOfTree(0, index, size);
    const leaves = await readTileRows(source, tile);
    const completed: CompletedHash[] = [];
    for (let at = 0; at < tile.width; at++) {
      for (const hash of frontier.append(hashInTile(leaves, at))) completed.push(hash);
    }
    if (completed.length > 0) await take(completed);
  }
  return frontier;
}

/**
 * Writes every row of the tree of the first `size` events anew, durably, and resolves with the tree; throws what the database
 * threw at a write. After a crash or a failure in between there are rows missing, and they are written anew.
 */
async function writeTreeRows(source: LogSource, size: number): Promise<Frontier> {
  const { database } = source;
  const writeBatch: WriteBatch = (batch) => batch.write({ sync: true });
  // Before any other row goes: what is left without it is known to be no whole tree.
  const last = lastTreeRowKey(size);
  if (last !== undefined) await writeBatch(database.batch().del(last));
  // What the log held when it was longer would stand between the rows that are to come.
  await clearRows(database, TREE_ROWS, writeBatch);
  let waiting: CompletedHash[] = [];
  const write = async (): Promise<void> => {
    const batch = database.batch();
    putTreeRows(batch, waiting);
    waiting = [];
    await writeBatch(batch);
  };
  const frontier = await growTree(source, size, async (completed) => {
    for (const hash of completed) waiting.push(hash);
    if (waiting.length >= ROWS_AT_A_TIME) await write();
  });
  await write();
  return frontier;
}

/** Gives every hash above the leaves of a tree, in the order of the keys of their rows. */
function* hashesAboveLeaves(size: number): Generator<{ readonly level: number; readonly index: number }> {
  for (let level = 1; hashesOnLevel(level, size) > 0; level++) {
    for (let index = 0; index < hashesOnLevel(level, size); index++) yield { level, index };
  }
}

/** Whether a key is that of the row of a hash. */
function isTreeKey(key: Uint8Array, { level, index }: { readonly level: number; readonly index: number }): boolean {
  return key.length === treeKey(level, index).length && key[1] === level && seqOfKey(key) === index;
}

async function leafHashes(source: LogSource, first: number, last: number): Promise<Uint8Array[]> {
  const rows = await rowsBetween(source, eventKey(first), eventKey(last));
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const [key, row] = rows[at] ?? [];
    if (key === undefined || row === undefined || seqOfKey(key) !== first + at) throw missingEvent(first + at);
    return leafHashOfRow(row, first + at);
  });
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

/** The hashes one after another, as a tile has them; a copy. */
function joined(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  for (const [at, hash] of hashes.entries()) bytes.set(hash, at * HASH_BYTES);
  return bytes;
}

function damagedRow(level: number, index: number): StoreError {
  return new StoreError(
    'LOG_CORRUPT',
    `hash ${index} on level ${level} of the log's tree is missing or cut short, expected ${HASH_BYTES} bytes`,
    { data: { level, index, remedy: 'rebuild' } },
  );
}

/**
 * Writes every row of the tree of a log that is in use, and removes those that are none of it; throws what `write` threw. Each row is
 * replaced by what it should be, so that none is ever missing, and a crash in between leaves nothing worse than it was.
 * @throws {StoreError} LOG_CORRUPT when an event is damaged or missing, or the events do not give the root of `head`: nothing was written
 *   then; ABORTED
 */
async function renewTreeRows(
  source: LogSource,
  { seq, root }: Head,
  { write, signal }: { readonly write: WriteBatch; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const hashes: CompletedHash[] = [];
  const tree = await growTree(source, seq, (completed) => {
    throwIfAborted(signal);
    for (const hash of completed) hashes.push(hash);
  });
  if (!equalHashes(tree.root(), root)) {
    const message = `the events up to seq ${seq} are not those that were appended: their tree has another root`;
    throw new StoreError('LOG_CORRUPT', message, { data: { seq } });
  }
  for (let at = 0; at < hashes.length; at += ROWS_AT_A_TIME) {
    const batch = source.database.batch();
    putTreeRows(batch, hashes.slice(at, at + ROWS_AT_A_TIME));
    await write(batch);
  }
  await removeStrays(source, seq, write);
}

/** Removes rows that stand between those of the tree of `size` events, all of which are there. */
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

/** The log whose rows are made anew, while it is read. */
interface RenewedLog {
  readonly source: LogSource;
  readonly head: Head;
  readonly write: WriteBatch;
  /** Resolves when nobody reads the subject index any more, and nobody will. */
  readonly withoutIndex: () => Promise<void>;
}

/**
 * Makes the rows that follow from the events of a log anew: first those of its tree, and when these are what they should be, the
 * subject index.
 * @throws {StoreError} LOG_CORRUPT, ABORTED; whatever `write` throws
 */
export async function renewRows(
  { source, head, write, withoutIndex }: RenewedLog,
  { onProgress, signal }: RenewOptions,
): Promise<void> {
  await renewTreeRows(source, head, { write, signal });
  await withoutIndex();
  await indexSubjects(source, head, { write, signal, onIndexed: (seq) => onProgress?.(seq, head.seq) });
}

/**
 * Makes a log forget, durably, that its subject index and the rows of its tree are whole: the next open for writing makes all of them
 * anew. What goes is the last row of each, by which an open tells.
 * @throws {StoreError} LOG_CORRUPT when the last event is damaged; whatever the database throws at a write
 */
export async function forgetDerivedRows(source: LogSource): Promise<void> {
  const end = await readEnd(source);
  const keys = [await lastRowKey(source, end), lastTreeRowKey(end.seq)].filter((key) => key !== undefined);
  if (keys.length === 0) return;
  const batch = source.database.batch();
  for (const key of keys) batch.del(key);
  await batch.write({ sync: true });
}
