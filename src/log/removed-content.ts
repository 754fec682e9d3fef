import type { Digest } from '../model/digest.js';
import { CONTENT_PREFIX, contentKey, contentKeyOfRemoved, REMOVED_PREFIX, removedKey } from './rows.js';
import type { Batch, Database, WriteBatch } from './log.js';

/*
 * A row that is removed leaves LevelDB's files only when a compaction meets it: until then its bytes are in the write-ahead
 * log, in tables, or in both. So a mark is written with every removal, in the same batch, and goes when the range of
 * the row was compacted. A crash in between leaves the mark, and the next open for writing compacts again.
 */

/** Removals of one batch that are compacted one by one; of more, the whole range from the first to the last is rewritten. */
const MOST_SINGLE_RANGES = 8;

/** Puts into `batch` that the content of `digest` is removed by events from `seq` on, and its mark. */
export function removeContent(batch: Batch, digest: Digest, seq: number): void {
  batch.del(contentKey(digest));
  batch.put(removedKey(digest, seq), new Uint8Array());
}

/** The marks that are there. */
export async function removalMarks(database: Database): Promise<readonly Uint8Array[]> {
  return database.keys({ gte: Uint8Array.of(REMOVED_PREFIX), lt: Uint8Array.of(REMOVED_PREFIX + 1) }).all();
}

/** LevelDB's own: levels that a log of some GiB has, and the size of a table (options.h). */
const [LEVELS, TABLE_BYTES] = [4, 2 * 1024 * 1024];
/** Bytes that one step of a compaction may need before it can remove a table: LevelDB's own bound is 50 MiB. */
const MAX_COMPACTION_BYTES = 64 * 1024 * 1024;

/**
 * Returns how many bytes have to be free to compact content: LevelDB that meets a full disk then takes no write any more. It writes new
 * tables before it removes those that they replace, at most MAX_COMPACTION_BYTES at a time.
 */
export async function purgeRoom(database: Database): Promise<number> {
  const [first, end] = [Uint8Array.of(CONTENT_PREFIX), Uint8Array.of(CONTENT_PREFIX + 1)];
  const bytes = (await database.approximateSize?.(first, end)) ?? 0;
  const all = (await database.approximateSize?.(Uint8Array.of(0), Uint8Array.of(0xff))) ?? 0;
  // Tables are rewritten as a whole: on each level, two may hold other rows beside.
  return Math.min(bytes + LEVELS * 2 * TABLE_BYTES, all, MAX_COMPACTION_BYTES);
}

interface PurgeOptions {
  /** Ends the reads that hold what was there before; gives false when they cannot be ended. */
  readonly letGo: () => Promise<boolean>;
  readonly write: WriteBatch;
}

/**
 * Takes the bytes of the content that `marks` are about off the disk, and then the marks. Resolves with false when reads still hold
 * them; then the marks stay.
 */
export async function purgeRemoved(
  database: Database,
  marks: readonly Uint8Array[],
  { letGo, write }: PurgeOptions,
): Promise<boolean> {
  if (marks.length === 0) return true;
  const ranges = rangesOf(marks.map(contentKeyOfRemoved));
  if (!(await letGo())) return false;
  // What is in memory becomes a table, and tables are merged down to the deepest one that has the range.
  await compact(database, ranges);
  // A row that was written and removed since the last table is in one new table, on a level that nothing merges any more.
  // A table above it that overlaps makes LevelDB merge the two: removals of rows beside it, which never were there.
  const batch = database.batch();
  for (const { start, end } of ranges) batch.del(start).del(end);
  await write(batch);
  await compact(database, ranges);
  // Tables that a read held on to are removed at the next compaction after it; an empty one will do.
  if (!(await letGo())) return false;
  await compact(database, [NOTHING]);
  // LevelDB says of no compaction that it failed, but takes no write any more: then the marks stay.
  const done = database.batch();
  for (const mark of marks) done.del(mark);
  await write(done);
  return true;
}

interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Keys after those of every row. */
const NOTHING: KeyRange = { start: Uint8Array.of(0xff), end: Uint8Array.of(0xff) };

/** Returns the ranges around `keys`, which are in order: their ends are no keys of rows. */
function rangesOf(keys: readonly Uint8Array[]): readonly KeyRange[] {
  const single = keys.map((key) => ({ start: key.slice(0, -1), end: Uint8Array.from([...key, 0]) }));
  const [first] = single;
  const last = single.at(-1);
  if (single.length <= MOST_SINGLE_RANGES || first === undefined || last === undefined) return single;
  return [{ start: first.start, end: last.end }];
}

async function compact(database: Database, ranges: readonly KeyRange[]): Promise<void> {
  // A database that is not on a disk has no old bytes either.
  for (const { start, end } of ranges) await database.compactRange?.(start, end);
}
