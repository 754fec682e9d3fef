import { equalBytes } from '../../model/bytes.js';
import { blobsProjection, type BlobsView } from '../../../projections/layers.js';
import { StoreError, throwIfAborted } from '../../errors.js';
import { MAX_ARCHIVE_JSON_BYTES, MAX_GROUP_BYTES, MAX_GROUP_EVENTS, MAX_PACK_BYTES } from '../../limits.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { LevelLog } from '../../log/leveldb/level-log.js';
import { openFailure, openLevel } from '../../log/leveldb/open-level.js';
import type { Database, LogEntry } from '../../log/log.js';
import { TILE_WIDTH, tileOfTree } from '../../log/merkle.js';
import { decodeRecord } from '../../log/record.js';
import { contentKey } from '../../log/rows.js';
import { type Digest, digestOf } from '../../model/digest.js';
import { syncDirectory } from '../files/files.js';
import type { BackupReader, ContentPlace } from './backup-reader.js';

/** What a store is built from. */
export interface BuildOptions {
  readonly reader: BackupReader;
  /** Verified content; nothing else is copied. */
  readonly content: ReadonlyMap<Digest, ContentPlace>;
  /** Text of the checkpoint that commits to the backup's events. */
  readonly checkpoint: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Builds the log of a verified backup in a new database at `location`, durable on return, and
 * resolves with the blobs that it needs. Everything read is checked again, as it may have changed
 * since. Memory: a pack, a group of records, and the blobs.
 * @throws {StoreError} BACKUP_INVALID when it is not what its checkpoint says; ABORTED
 */
export async function buildLog(location: string, options: BuildOptions): Promise<BlobsView> {
  // Content first: beside rows of events, LevelDB would merge its tables several times.
  await writeContent(location, options);
  const log = await LevelLog.open(location, { createIfMissing: false });
  try {
    return await appendEvents(log, options);
  } finally {
    await log.close();
    // LevelDB does not sync the directory after naming its first files.
    await syncDirectory(location);
  }
}

/** Writes the content into a new database, as a store has it at the end of its log. */
async function writeContent(location: string, { reader, content, signal }: BuildOptions): Promise<void> {
  const database = await openLevel(location, true);
  let waiting: ReadContent[] = [];
  let bytes = 0;
  try {
    for (const [path, contents] of contentByFile(content)) {
      throwIfAborted(signal);
      for (const read of await contentIn(reader, path, contents)) {
        waiting.push(read);
        bytes += read.bytes.length;
      }
      if (bytes < MAX_PACK_BYTES / 2) continue;
      await writeRows(database, waiting);
      waiting = [];
      bytes = 0;
    }
    await writeRows(database, waiting);
  } catch (cause) {
    throw cause instanceof StoreError ? cause : openFailure(location, cause);
  } finally {
    await database.close();
  }
}

interface FoundContent {
  readonly digest: Digest;
  readonly place: ContentPlace;
}

interface ReadContent {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/**
 * Returns the content of each file, those of one run of backup in the order of their digests: a
 * table whose keys follow those of the tables before it is never merged with them.
 */
function contentByFile(content: BuildOptions['content']): (readonly [path: string, FoundContent[]])[] {
  const files = new Map<string, FoundContent[]>();
  for (const [digest, place] of content) {
    const others = files.get(place.path);
    if (others === undefined) files.set(place.path, [{ digest, place }]);
    else others.push({ digest, place });
  }
  const firstOf = ([, [first]]: readonly [string, FoundContent[]]): string => first?.digest ?? '';
  return [...files].sort((one, other) => (firstOf(one) < firstOf(other) ? -1 : 1));
}

/** Reads and checks the content of one file. */
async function contentIn(
  reader: BackupReader,
  path: string,
  contents: readonly FoundContent[],
): Promise<readonly ReadContent[]> {
  const isPack = contents[0]?.place.offset !== undefined;
  const file = await reader.file(path, isPack ? MAX_PACK_BYTES : MAX_ARCHIVE_JSON_BYTES);
  return contents.map(({ digest, place }) => {
    const bytes = place.offset === undefined ? file : file.subarray(place.offset, place.offset + place.size);
    if (digestOf(bytes) === digest) return { digest, bytes };
    throw changed(`${path} has other bytes for the content ${digest}`);
  });
}

async function writeRows(database: Database, contents: readonly ReadContent[]): Promise<void> {
  const batch = database.batch();
  for (const { digest, bytes } of contents) batch.put(contentKey(digest), bytes);
  await batch.write({ sync: true });
}

/** Appends the entries of the backup; resolves with the blobs that the log needs at its end. */
async function appendEvents(
  log: LevelLog,
  { reader, checkpoint, signal }: Omit<BuildOptions, 'content'>,
): Promise<BlobsView> {
  const { size, root } = parseCheckpoint(checkpoint);
  const blobs = blobsProjection.initial();
  let entries: LogEntry[] = [];
  let bytes = 0;
  const append = async (): Promise<void> => {
    await log.append({ expectedHead: log.head.seq, entries, content: new Map() });
    entries = [];
    bytes = 0;
  };
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    throwIfAborted(signal);
    for (const record of await reader.records(index, tileOfTree(0, index, size).width)) {
      const event = decodeRecord(record);
      blobsProjection.evolve(blobs, event);
      entries.push({ event, record });
      bytes += record.length;
    }
    if (entries.length + TILE_WIDTH > MAX_GROUP_EVENTS || bytes >= MAX_GROUP_BYTES) await append();
  }
  await append();
  const { head } = log;
  if (head.seq === size && equalBytes(head.root, root)) return blobs;
  throw changed('its entries give another tree than its checkpoint says');
}

/** The error for a backup that is not what was verified. */
export function changed(why: string): StoreError {
  return new StoreError('BACKUP_INVALID', `the backup changed while it was restored: ${why}`);
}
