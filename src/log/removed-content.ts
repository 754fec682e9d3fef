import type { Digest } from '../model/digest.js';
import { CONTENT_PREFIX, contentKey, contentKeyOfRemoved, REMOVED_PREFIX, removedKey } from './rows.js';
import { rowsOfKind } from './stored-rows.js';
import type { Batch, Database, WriteBatch } from './log.js';

/*
 * Purging removed content. A deleted row leaves LevelDB's files only when compacted; until then its
 * bytes may be in the write-ahead log and in tables. Every removal therefore writes a mark in the
 * same batch, deleted once the row's range is compacted. After a crash the mark remains, and the
 * next open for writing compacts again.
 */

/** Removals per batch compacted one by one; for more, the whole range is compacted. */
const MOST_SINGLE_RANGES = 8;

/** Deletes the content of `digest` (by the events from `seq` on) and adds its mark. */
export function removeContent(batch: Batch, digest: Digest, seq: number): void {
  batch.del(contentKey(digest));
  batch.put(removedKey(digest, seq), new Uint8Array());
}

/** Returns the keys of all removal marks. */
export async function removalMarks(database: Database): Promise<readonly Uint8Array[]> {
  return database.keys(rowsOfKind(REMOVED_PREFIX)).all();
}

/** LevelDB's levels in a log of some GiB, and its table size (options.h). */
const [LEVELS, TABLE_BYTES] = [4, 2 * 1024 * 1024];
/** Most bytes a compaction step needs before it can delete a table; LevelDB's bound is 50 MiB. */
const MAX_COMPACTION_BYTES = 64 * 1024 * 1024;

/**
 * Returns the free bytes needed to compact content: on a full disk LevelDB stops taking writes. It
 * writes new tables before deleting old ones, at most MAX_COMPACTION_BYTES at a time.
 */
export async function purgeRoom(database: Database): Promise<number> {
  const { gte, lt } = rowsOfKind(CONTENT_PREFIX);
  const bytes = (await database.approximateSize?.(gte, lt)) ?? 0;
  const all = (await database.approximateSize?.(Uint8Array.of(0), Uint8Array.of(0xff))) ?? 0;
  // Tables are rewritten whole: up to two per level hold other rows too.
  return Math.min(bytes + LEVELS * 2 * TABLE_BYTES, all, MAX_COMPACTION_BYTES);
}

interface PurgeOptions {
  /** Ends reads of earlier snapshots; resolves with false when it cannot. */
  readonly letGo: () => Promise<boolean>;
  readonly write: WriteBatch;
}

/**
 * Removes the content of `marks` from disk, then the marks. Resolves with false, keeping the marks,
 * while reads still hold it.
 */
export async function purgeRemoved(
  database: Database,
  marks: readonly Uint8Array[],
  { letGo, write }: PurgeOptions,
): Promise<boolean> {
  if (marks.length === 0) return true;
  const ranges = rangesOf(marks.map(contentKeyOfRemoved));
  if (!(await letGo())) return false;
  // Flushes memory into a table, and merges tables down to the deepest one of the range.
  await compact(database, ranges);
  // A row written and removed since the last table is in one new table, on a level that is never
  // merged. Force a merge by deleting absent keys beside it.
  const batch = database.batch();
  for (const { start, end } of ranges) batch.del(start).del(end);
  await write(batch);
  await compact(database, ranges);
  // Tables held by a read are deleted at the next compaction, even an empty one.
  if (!(await letGo())) return false;
  await compact(database, [NOTHING]);
  // LevelDB reports no failed compaction but refuses writes after it: then the marks stay.
  const done = database.batch();
  for (const mark of marks) done.del(mark);
  await write(done);
  return true;
}

interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Range after all rows. */
const NOTHING: KeyRange = { start: Uint8Array.of(0xff), end: Uint8Array.of(0xff) };

/** Returns ranges around sorted `keys`, whose ends are not keys of rows. */
function rangesOf(keys: readonly Uint8Array[]): readonly KeyRange[] {
  const single = keys.map((key) => ({ start: key.slice(0, -1), end: Uint8Array.from([...key, 0]) }));
  const [first] = single;
  const last = single.at(-1);
  if (single.length <= MOST_SINGLE_RANGES || first === undefined || last === undefined) return single;
  return [{ start: first.start, end: last.end }];
}

async function compact(database: Database, ranges: readonly KeyRange[]): Promise<void> {
  // Only a database on disk has old bytes.
  for (const { start, end } of ranges) await database.compactRange?.(start, end);
}
