import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { blobsProjection, type BlobsView } from '../../../projections/layers.js';
import { StoreError, throwIfAborted } from '../../errors.js';
import {
  MAX_ARCHIVE_JSON_BYTES,
  MAX_GROUP_BYTES,
  MAX_GROUP_EVENTS,
  MAX_PACK_BYTES,
  MAX_SIDECAR_BYTES,
} from '../../limits.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { LevelLog } from '../../log/leveldb/level-log.js';
import { openFailure, openLevel } from '../../log/leveldb/open-level.js';
import type { Database, LogEntry } from '../../log/log.js';
import { TILE_WIDTH, tileOfTree } from '../../log/merkle.js';
import { decodeRecord } from '../../log/record.js';
import { contentKey } from '../../log/rows.js';
import { equalBytes } from '../../model/bytes.js';
import { type Digest, digestOf } from '../../model/digest.js';
import { mustBeFunction, mustBeOptions, mustBeString, mustBeText } from '../argument-types.js';
import { ioFailure, makeDurableDirectory, syncDirectory, systemCode, writeDurableFile } from '../files/files.js';
import { parseSidecar, restoredVersion, SIDECAR_FILE, TILE_FOLDER, writeSidecar } from '../open/sidecar.js';
import { enclosure, realPathOf, storeNotEmpty } from '../open/vacancy.js';
import { checkVerifyOptions } from '../verify/verify-source.js';
import { BackupFolder } from './backup-folder.js';
import {
  BLOB_FOLDER,
  blobPath,
  CHECKPOINT_PATH,
  CONTENT_FOLDER,
  danglingLink,
  isFile,
  isWithin,
  namesBelow,
  PACK_FOLDER,
  restoreOptionNames,
  type RestoreOptions,
  type RestoreReport,
} from './backup-layout.js';
import {
  type BackupReader,
  type BackupSource,
  type ContentPlace,
  type VerifiedBackup,
  verifyBackup,
} from './backup-reader.js';
import { checkedBlob } from './write-backup.js';

/**
 * Builds a store in the empty directory `place` from a verified backup; durable on return.
 * Everything read is checked again, as it may have changed since.
 * @throws {StoreError} BACKUP_INVALID when it is not what its checkpoint says; ABORTED
 */
async function buildStore(place: string, options: BuildOptions): Promise<Pick<RestoreReport, 'blobs' | 'blobBytes'>> {
  const { reader, checkpoint } = options;
  const blobs = await buildLog(join(place, 'log'), options);
  const built = await copyBlobs(place, blobs, options);
  await writeDurableFile(join(place, CHECKPOINT_PATH), new TextEncoder().encode(checkpoint));
  // The sidecar comes last: without it, a crash's leftovers do not pass for a store.
  const sidecar = parseSidecar(reader.directory, await reader.file(SIDECAR_FILE, MAX_SIDECAR_BYTES));
  await writeSidecar(place, { ...sidecar, version: restoredVersion(sidecar.version) });
  return built;
}

async function copyBlobs(
  place: string,
  { byDigest }: BlobsView,
  { reader, signal }: BuildOptions,
): Promise<Pick<RestoreReport, 'blobs' | 'blobBytes'>> {
  const folder = new BackupFolder(place);
  let blobBytes = 0;
  await makeDurableDirectory(join(place, BLOB_FOLDER));
  await folder.begin();
  for (const [digest, { size }] of byDigest) {
    const path = blobPath(digest);
    const failure = (found: number): StoreError =>
      changed(`${path} has ${found > size ? `more than ${size} bytes` : 'other bytes than its name says'}`);
    await folder.write(path, checkedBlob(reader.chunks(path), { digest, size, signal, failure }));
    blobBytes += size;
  }
  await folder.sync();
  await folder.end();
  return { blobs: byDigest.size, blobBytes };
}

/** Directories that this process builds stores in. */
const building = new Set<string>();

/**
 * Resolves with the absolute path of the target, which must be missing or an empty directory.
 * @throws {StoreError} STORE_EXISTS, STORE_NOT_EMPTY; FILE_EXISTS when something else or a dangling link is there,
 *   or it lies in a store or a backup
 */
async function needVacancy(target: string, source: string): Promise<string> {
  const link = await danglingLink(resolve(target));
  if (link !== undefined) throw taken(resolve(target), link);
  const directory = await realPathOf(resolve(target));
  if (isWithin(directory, await realPathOf(resolve(source)))) throw taken(directory, 'it is inside the backup');
  const names = (await namesBelow(directory)) ?? [];
  if (names.includes('log')) throw storeExists(directory);
  if (names.includes(SIDECAR_FILE)) throw taken(directory, await backupThere(source));
  if (await isFile(directory)) throw taken(directory, 'it is a file, or below one');
  if (names.length > 0) throw storeNotEmpty(`restore to ${directory}`, directory, [...names].sort());
  const around = await enclosure(directory);
  if (around !== undefined) throw taken(directory, around);
  return directory;
}

/** Resolves with why a backup is no place for a store; says so when the two arguments look reversed. */
async function backupThere(source: string): Promise<string> {
  const names = (await namesBelow(resolve(source))) ?? [];
  if (names.includes(SIDECAR_FILE) && !names.includes('log')) return 'it is a backup';
  return `it is a backup, and ${source} is not: are the two reversed?`;
}

/**
 * Runs `build` in a directory beside `directory`, then renames it into place: atomic. Removes
 * leftovers of killed builds first.
 * @throws {StoreError} STORE_EXISTS when a store appeared there meanwhile; what `build` throws
 */
async function buildBeside<Result>(directory: string, build: (place: string) => Promise<Result>): Promise<Result> {
  const parent = dirname(directory);
  await makeDurableDirectory(parent);
  await removeLeftovers(directory);
  const place = join(parent, buildName(directory, process.pid));
  building.add(place);
  try {
    await mkdir(place, { mode: 0o700 });
    const result = await build(place);
    // A crash before this line leaves a hidden directory for the next restore to remove.
    await rename(place, directory);
    await syncDirectory(parent);
    return result;
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw buildFailure(directory, error);
  } finally {
    building.delete(place);
  }
}

function buildFailure(directory: string, error: unknown): StoreError {
  if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error))) return storeExists(directory, error);
  if (['EBUSY', 'EXDEV'].includes(systemCode(error))) {
    return new StoreError(
      'IO_FAILED',
      `cannot restore to ${directory}: a file system is mounted there; restore to a directory below it`,
      { cause: error, data: { directory } },
    );
  }
  return ioFailure(`restore to ${directory}`, error);
}

// Hidden, so that no one opens a store by it; includes the pid of the builder.
function buildName(directory: string, pid: number): string {
  return `.${basename(directory)}.restoring-${pid}-${randomBytes(6).toString('hex')}`;
}

async function removeLeftovers(directory: string): Promise<void> {
  const parent = dirname(directory);
  const beginning = `.${basename(directory)}.restoring-`;
  for (const name of (await namesBelow(parent)) ?? []) {
    const [, pid] = /^(\d+)-[0-9a-f]{12}$/.exec(name.startsWith(beginning) ? name.slice(beginning.length) : '') ?? [];
    if (pid === undefined || isBuilding(join(parent, name), Number(pid))) continue;
    try {
      // Renamed first: a build still running there cannot put a half removed store in place.
      const leftover = join(parent, buildName(directory, 0));
      await rename(join(parent, name), leftover);
      await rm(leftover, { recursive: true, force: true });
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw ioFailure(`remove ${join(parent, name)}`, error);
    }
  }
}

function isBuilding(place: string, pid: number): boolean {
  // A restarted container reuses the pid.
  if (pid === process.pid) return building.has(place);
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

function storeExists(directory: string, cause?: unknown): StoreError {
  return new StoreError('STORE_EXISTS', `cannot restore to ${directory}: there is a store already`, {
    cause,
    data: { directory },
  });
}

function taken(directory: string, why: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot restore to ${directory}: ${why}`, { data: { directory } });
}

/** Violations named in an error's message; its data has all. */
const SAID_VIOLATIONS = 3;

/** Implements the library's `restoreStore`. */
export async function restoreStore(
  directory: string,
  source: string,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeString('source', source);
  mustBeText('source', source);
  mustBeOptions(options, restoreOptionNames);
  const { against, key, onProgress, onNotice, signal } = options;
  if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
  checkVerifyOptions({ against, key, onNotice, signal });
  throwIfAborted(signal);
  const target = await needVacancy(directory, source);
  const progress = new ReadProgress(onProgress);
  const onOpen = ({ reader }: BackupSource): Promise<void> => progress.begin(reader);
  const verified = await verifyBackup(source, { against, key, onNotice, signal }, { onOpen, onBytes: progress.read });
  const { identity, checkpoint } = wholeBackup(verified);
  const { reader, content } = verified.source;
  progress.verified(content);
  const built = await buildBeside(target, (place) => buildStore(place, { reader, content, checkpoint, signal }));
  const { size: events } = parseCheckpoint(checkpoint);
  return { directory: target, ...identity, events, checkpoint, ...built };
}

function wholeBackup({ source, violations }: VerifiedBackup): {
  readonly identity: NonNullable<BackupSource['identity']>;
  readonly checkpoint: string;
} {
  const { identity, checkpoint, reader } = source;
  if (violations.length === 0 && identity !== undefined && checkpoint !== undefined) {
    return { identity, checkpoint: checkpoint.text };
  }
  const said = violations.slice(0, SAID_VIOLATIONS).map(({ message }) => message);
  const more = violations.length - said.length;
  const what = more > 0 ? `${said.join('; ')}; and ${more} more` : said.join('; ');
  const { directory } = reader;
  const message = `the backup in ${directory} does not verify: ${what}`;
  throw new StoreError('BACKUP_INVALID', message, { data: { directory, violations } });
}

/** Counts bytes read, once to verify and once to write. */
class ReadProgress {
  readonly #onProgress: RestoreOptions['onProgress'];
  #bytes = 0;
  #ofFiles = 0;
  readonly #packs = new Map<string, number>();
  #total = 0;

  constructor(onProgress: RestoreOptions['onProgress']) {
    this.#onProgress = onProgress;
  }

  readonly read = (bytes: number): void => {
    this.#bytes = Math.min(this.#bytes + bytes, this.#total);
    if (this.#total > 0) this.#onProgress?.(this.#bytes, this.#total);
  };

  async begin(reader: BackupReader): Promise<void> {
    if (this.#onProgress === undefined) return;
    let tiles = 0;
    for (const folder of [TILE_FOLDER, CONTENT_FOLDER, PACK_FOLDER, BLOB_FOLDER]) {
      for (const path of await reader.paths(folder)) {
        const size = (await reader.size(path)) ?? 0;
        this.#ofFiles += size;
        if (/^tile\/\d/.test(path)) tiles += size;
        if (folder === PACK_FOLDER) this.#packs.set(path, size);
      }
    }
    // Writing does not reread tree hashes: they are computed from the entries.
    this.#total = 2 * this.#ofFiles - tiles;
    this.#bytes = 0;
  }

  /** Ends the first pass. Of packs only those with any of the `content` are read again. */
  verified(content: ReadonlyMap<Digest, ContentPlace>): void {
    this.#bytes = this.#ofFiles;
    const again = new Set([...content.values()].map(({ path }) => path));
    for (const [path, size] of this.#packs) if (!again.has(path)) this.#total -= size;
  }
}

/** What a store is built from. */
interface BuildOptions {
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
async function buildLog(location: string, options: BuildOptions): Promise<BlobsView> {
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
function changed(why: string): StoreError {
  return new StoreError('BACKUP_INVALID', `the backup changed while it was restored: ${why}`);
}
