import { lstat, readdir } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { StoreError, throwIfAborted } from '../../errors.js';
import {
  MAX_ARCHIVE_JSON_BYTES,
  MAX_MISSING_EVENTS,
  MAX_NOTE_BYTES,
  MAX_PACK_BYTES,
  MAX_RECORD_BYTES,
} from '../../limits.js';
import {
  entriesPath,
  hashesOnLevel,
  hashInTile,
  LENGTH_BYTES,
  parseEntries,
  parseTilePath,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  tilePath,
} from '../../log/merkle.js';
import { type Digest, digestOf, HASH_BYTES } from '../../model/digest.js';
import { ioFailure, isExhaustion, NotAFile, openRegularFile, readWholeFile, unless } from '../files/files.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { SIDECAR_FILE, TILE_FOLDER } from '../open/sidecar.js';
import { readIdentity } from '../verify/store-source.js';
import type {
  Reading,
  Report,
  SourceIdentity,
  StoredBlob,
  StoredContent,
  StoredHash,
  StoredRecord,
  VerifyOptions,
  VerifySource,
  Violation,
  ViolationCode,
} from '../verify/verify-source.js';
import {
  BLOB_FOLDER,
  CHECKPOINT_PATH,
  CONTENT_FOLDER,
  digestOfName,
  linksIn,
  namesBelow,
  PACK_FOLDER,
  STAGING_FOLDER,
} from './backup-layout.js';
import { treePaths } from './backup-tiles.js';
import { headBytes, PACK_START_BYTES, PackHead } from './pack.js';
import { verifySource } from '../verify/verify.js';

/** Read size for blobs. */
const READ_CHUNK_BYTES = 256 * 1024;
/** Codes of the system for what is not there. */
const MISSING = ['ENOENT', 'ENOTDIR'];
const MAX_BUNDLE_BYTES = TILE_WIDTH * (LENGTH_BYTES + MAX_RECORD_BYTES);

/** Reads the files of a backup. They are untrusted: none is read beyond its maximum size. */
export class BackupReader {
  readonly directory: string;
  readonly #onBytes: (bytes: number) => void;

  /** Reads below `directory`; `onBytes` is called with the size of each read. */
  constructor(directory: string, onBytes: (bytes: number) => void = () => undefined) {
    this.directory = directory;
    this.#onBytes = onBytes;
  }

  /**
   * Reads a file of at most `limit` bytes.
   * @throws {StoreError} BACKUP_INVALID when it is missing, no file, or larger
   */
  async file(path: string, limit: number): Promise<Uint8Array> {
    const whole = join(this.directory, path);
    const read = async (): Promise<Uint8Array> => {
      await using file = await openRegularFile(whole);
      const { size } = await file.stat();
      if (size > limit) throw invalid(path, `has ${size} bytes, expected ${limit} at most`);
      // One read: a regular file gives all that it has.
      const { bytesRead, buffer } = await file.read(new Uint8Array(size + 1), 0, size + 1, 0);
      if (bytesRead > size) throw invalid(path, `grew beyond ${size} bytes while it was read`);
      return buffer.subarray(0, bytesRead);
    };
    const bytes = await unless(MISSING, `read ${whole}`, read).catch((error: unknown) => {
      throw error instanceof NotAFile ? invalid(path, 'is not a file') : error;
    });
    if (bytes === undefined) throw invalid(path, 'is missing');
    this.#onBytes(bytes.length);
    return bytes;
  }

  /** Reads the hashes of a tile. @throws {StoreError} BACKUP_INVALID as `file`, and for another size */
  async tile(tile: Tile): Promise<Uint8Array> {
    const path = tilePath(tile);
    const size = tile.width * HASH_BYTES;
    const bytes = await this.file(path, size);
    if (bytes.length < size) throw invalid(path, `has ${bytes.length} bytes, expected ${size}`);
    return bytes;
  }

  /** Reads the records of a bundle, as many as it has. @throws {StoreError} BACKUP_INVALID */
  async records(index: number, width: number): Promise<Uint8Array[]> {
    const path = entriesPath(index, width);
    const bytes = await this.file(path, MAX_BUNDLE_BYTES);
    return parsed(path, async () => parseEntries(bytes));
  }

  /**
   * Reads the head of a pack, of which the size is checked too.
   * @throws {StoreError} BACKUP_INVALID when it is not what its name says
   */
  async packHead(path: string): Promise<PackHead> {
    const size = await this.size(path);
    if (size === undefined) throw invalid(path, 'is missing');
    const whole = join(this.directory, path);
    return parsed(path, async () => {
      const start = (await readWholeFile(whole, PACK_START_BYTES)) ?? new Uint8Array(0);
      const head = (await readWholeFile(whole, headBytes(start))) ?? new Uint8Array(0);
      return parsePackHead(path, head, size);
    });
  }

  /** Reads a whole pack; its contents are unchecked. @throws {StoreError} BACKUP_INVALID as `packHead` */
  async pack(path: string): Promise<{ readonly head: PackHead; readonly bytes: Uint8Array }> {
    const bytes = await this.file(path, MAX_PACK_BYTES);
    const head = await parsed(path, async () => {
      return parsePackHead(path, bytes.subarray(0, headBytes(bytes)), bytes.length);
    });
    return { head, bytes };
  }

  /** Counts bytes that were read elsewhere. */
  count(bytes: number): void {
    this.#onBytes(bytes);
  }

  /** Streams a file unchecked. */
  async *chunks(path: string): AsyncGenerator<Uint8Array> {
    try {
      const file = await openRegularFile(join(this.directory, path));
      const chunks: AsyncIterable<Uint8Array> = file.createReadStream({ highWaterMark: READ_CHUNK_BYTES });
      for await (const chunk of chunks) {
        this.#onBytes(chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw ioFailure(`read ${join(this.directory, path)}`, error);
    }
  }

  /**
   * Resolves with the size of a file; undefined when missing.
   * @throws {StoreError} BACKUP_INVALID when something else has its name
   */
  async size(path: string): Promise<number | undefined> {
    const whole = join(this.directory, path);
    const found = await unless(MISSING, `read ${whole}`, () => lstat(whole));
    if (found?.isFile() === false) throw invalid(path, 'is not a file');
    return found?.size;
  }

  /** Resolves with the sorted paths of all non-directories below a folder, which may be missing. */
  async paths(folder: string): Promise<string[]> {
    const whole = join(this.directory, folder);
    const list = () => readdir(whole, { recursive: true, withFileTypes: true });
    const files = ((await unless(MISSING, `read ${whole}`, list)) ?? []).filter((entry) => !entry.isDirectory());
    const pathOf = (file: string): string => relative(this.directory, file).split(sep).join('/');
    return files.map(({ parentPath, name }) => pathOf(join(parentPath, name))).sort();
  }
}

/** Resolves with what `parse` does; what it throws that is no StoreError is a fault of the file. */
async function parsed<Result>(path: string, parse: () => Promise<Result>): Promise<Result> {
  try {
    return await parse();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw invalid(path, cause instanceof Error ? `cannot be read: ${cause.message}` : 'cannot be read', cause);
  }
}

function parsePackHead(path: string, bytes: Uint8Array, size: number): PackHead {
  const name = digestOfName(path.slice(PACK_FOLDER.length + 1));
  if (name === undefined) throw new Error('its name is not that of a digest');
  const head = PackHead.parse(bytes, name);
  if (head.fileBytes !== size) throw new Error(`it has ${size} bytes, expected ${head.fileBytes} by its head`);
  return head;
}

function invalid(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('BACKUP_INVALID', `the file ${path} of the backup ${why}`, { cause, data: { path } });
}

/**
 * Opens the backup in `directory` as a verification source. Faults of its checkpoint and sidecar
 * are reported at once; `onBytes` is called with the size of each read.
 * @throws {StoreError} BACKUP_NOT_FOUND when there is none, or only one that was never finished
 */
async function openBackupSource(
  directory: string,
  report: Report,
  onBytes?: (bytes: number) => void,
): Promise<BackupSource> {
  const names = (await namesBelow(directory)) ?? [];
  const isUnfinished = names.includes(STAGING_FOLDER);
  if (names.includes('log')) {
    throw new StoreError('BACKUP_NOT_FOUND', `no backup in ${directory}: it is a store`, { data: { directory } });
  }
  const hasCheckpoint = names.includes(CHECKPOINT_PATH);
  if (!hasCheckpoint && (isUnfinished || !names.some((name) => name === SIDECAR_FILE || name === TILE_FOLDER))) {
    const why = isUnfinished ? 'the first one was never finished' : `it has no ${CHECKPOINT_PATH}`;
    throw new StoreError('BACKUP_NOT_FOUND', `no backup in ${directory}: ${why}`, { data: { directory } });
  }
  const reader = new BackupReader(directory, onBytes);
  for (const place of await linksIn(directory)) {
    report({ code: 'FILE_UNKNOWN', place, message: `${place} is a link: what it leads to is not part of the backup` });
  }
  const found = await readCheckpoint(reader, report);
  const identity = await readIdentity(directory, report);
  const size = sizeClaimed(await reader.paths(TILE_FOLDER), found?.size);
  const checkpoint = found && { text: found.text, place: CHECKPOINT_PATH };
  return new BackupSource({ reader, identity, size, checkpoint, isUnfinished });
}

/**
 * Returns the tree size to verify: the checkpoint's, or without one that of the largest bundle.
 * Capped near the existing bundles, because every missing tile is looked up and reported.
 */
function sizeClaimed(tilePaths: readonly string[], checkpointSize: number | undefined): number {
  let [size, bundles] = [0, 0];
  for (const path of tilePaths) {
    const bundle = parseTilePath(path);
    if (bundle?.level !== 'entries') continue;
    size = Math.max(size, bundle.index * TILE_WIDTH + bundle.width);
    bundles += 1;
  }
  return Math.min(checkpointSize ?? size, bundles * TILE_WIDTH + MAX_MISSING_EVENTS);
}

/** Where content is in a backup: in its own file, or at an offset in a pack. */
export type ContentPlace =
  | { readonly path: string; readonly offset?: undefined }
  | { readonly path: string; readonly offset: number; readonly size: number };

/** A backup, read file by file: what its checkpoint commits to, and its content and blobs. */
export class BackupSource implements VerifySource {
  readonly reader: BackupReader;
  readonly identity: SourceIdentity | undefined;
  readonly size: number;
  readonly checkpoint: { readonly text: string; readonly place: string } | undefined;
  /** A run is in progress or was interrupted: files of another state may exist too. */
  readonly isUnfinished: boolean;
  readonly #content = new Map<Digest, ContentPlace>();

  constructor(found: Pick<BackupSource, 'reader' | 'identity' | 'size' | 'checkpoint' | 'isUnfinished'>) {
    this.reader = found.reader;
    this.identity = found.identity;
    this.size = found.size;
    this.checkpoint = found.checkpoint;
    this.isUnfinished = found.isUnfinished;
  }

  /** Where the last result of `contents` was: exactly the content of the checkpoint's state. */
  get content(): ReadonlyMap<Digest, ContentPlace> {
    return this.#content;
  }

  async *records(reading: Reading): AsyncGenerator<readonly StoredRecord[]> {
    for (const tile of this.#tiles(0, reading)) {
      const place = entriesPath(tile.index, tile.width);
      const records = await reported(place, reading, () => this.reader.records(tile.index, tile.width));
      const leafPlace = tilePath(tile);
      const leaves = await reported(leafPlace, reading, () => this.reader.tile(tile));
      if (records !== undefined && records.length !== tile.width) {
        const message = `the file ${place} has ${records.length} entries, expected ${tile.width}`;
        reading.report({ code: 'ROWS_UNREADABLE', place, message, expected: tile.width, found: records.length });
      }
      yield (records ?? []).slice(0, tile.width).map((record, at) => {
        const leafHash = leaves === undefined ? undefined : hashInTile(leaves, at);
        return { seq: tile.index * TILE_WIDTH + at + 1, record, leafHash, place, leafPlace };
      });
    }
  }

  async *hashes(level: number, reading: Reading): AsyncGenerator<readonly StoredHash[]> {
    for (const tile of this.#tiles(level, reading)) {
      const place = tilePath(tile);
      const bytes = await reported(place, reading, () => this.reader.tile(tile));
      if (bytes === undefined) continue;
      const hashAt = (_: unknown, at: number): StoredHash => ({
        index: tile.index * TILE_WIDTH + at,
        hash: hashInTile(bytes, at),
        place,
      });
      yield Array.from({ length: tile.width }, hashAt);
    }
  }

  async *contents(reading: Reading, isNamed: (digest: Digest) => boolean): AsyncGenerator<readonly StoredContent[]> {
    this.#content.clear();
    for await (const { digest, place } of this.#digests(CONTENT_FOLDER, reading)) {
      if (this.isUnfinished && !isNamed(digest)) continue;
      const bytes = await reported(place, reading, () => this.reader.file(place, MAX_ARCHIVE_JSON_BYTES));
      if (bytes === undefined) continue;
      this.#content.set(digest, { path: place });
      yield [{ digest, bytes, place }];
    }
    // Of an interrupted run, what cannot be read may be of no state; what is missing is reported.
    const ofPacks: Reading = this.isUnfinished ? { ...reading, report: () => undefined } : reading;
    for await (const { place } of this.#digests(PACK_FOLDER, ofPacks)) {
      const pack = await reported(place, ofPacks, () => this.reader.pack(place));
      if (pack !== undefined) yield this.#packed(place, pack, reading, isNamed);
    }
  }

  #packed(
    place: string,
    { head, bytes: pack }: { readonly head: PackHead; readonly bytes: Uint8Array },
    { report }: Reading,
    isNamed: (digest: Digest) => boolean,
  ): StoredContent[] {
    const contents: StoredContent[] = [];
    for (const { digest, offset, size } of head.contents()) {
      if (this.isUnfinished && !isNamed(digest)) continue;
      const bytes = pack.subarray(offset, offset + size);
      if (!this.#content.has(digest)) {
        this.#content.set(digest, { path: place, offset, size });
        contents.push({ digest, bytes, place });
      } else if (digestOf(bytes) !== digest) {
        // Runs that were interrupted leave content twice, and both are whole.
        const message = `one of two copies of the content ${digest} has another digest`;
        report({ code: 'CONTENT_WRONG', place, message, digest });
      }
    }
    return contents;
  }

  async *blobs(reading: Reading, isNeeded: (digest: Digest) => boolean): AsyncGenerator<StoredBlob> {
    for await (const { digest, place } of this.#digests(BLOB_FOLDER, reading)) {
      if (this.isUnfinished && !isNeeded(digest)) continue;
      const size = await reported(place, reading, () => this.reader.size(place));
      if (size !== undefined) yield { digest, size, place, read: () => this.reader.chunks(place) };
    }
  }

  async reportStrays({ report }: Reading): Promise<void> {
    const needed = new Set(treePaths(this.size));
    for (const place of await this.reader.paths(TILE_FOLDER)) {
      const isOfTree = parseTilePath(place) !== undefined;
      if (needed.has(place) || (isOfTree && this.isUnfinished)) continue;
      const why = isOfTree ? `is of a tree of another size than ${this.size}` : 'is not the size of a log';
      report({ code: 'FILE_UNKNOWN', place, message: `the file ${place} ${why}` });
    }
  }

  *#tiles(level: number, { signal }: Reading): Generator<Tile> {
    const count = Math.ceil(hashesOnLevel(level, this.size) / TILE_WIDTH);
    for (let index = 0; index < count; index++) {
      throwIfAborted(signal);
      yield tileOfTree(level, index, this.size);
    }
  }

  async *#digests(folder: string, { report, signal }: Reading): AsyncGenerator<{ digest: Digest; place: string }> {
    for (const place of await this.reader.paths(folder)) {
      throwIfAborted(signal);
      const digest = digestOfName(place.slice(folder.length + 1));
      if (digest !== undefined) yield { digest, place };
      else report({ code: 'FILE_UNKNOWN', place, message: `the name of the file ${place} is not that of a digest` });
    }
  }
}

/** Resolves with the result of `read`; reports a file that cannot be read, and gives undefined. */
async function reported<Result>(
  place: string,
  { report }: Reading,
  read: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    report(violation('ROWS_UNREADABLE', place, error));
    return undefined;
  }
}

async function readCheckpoint(
  reader: BackupReader,
  report: Report,
): Promise<{ readonly size: number; readonly text: string } | undefined> {
  try {
    if ((await reader.size(CHECKPOINT_PATH)) === undefined) {
      report({ code: 'CHECKPOINT_MISSING', place: CHECKPOINT_PATH, message: `the file ${CHECKPOINT_PATH} is missing` });
      return undefined;
    }
    const bytes = await reader.file(CHECKPOINT_PATH, MAX_NOTE_BYTES);
    const { size } = parseCheckpoint(bytes);
    return { size, text: new TextDecoder().decode(bytes) };
  } catch (error) {
    report(violation('CHECKPOINT_DAMAGED', CHECKPOINT_PATH, error));
    return undefined;
  }
}

function violation(code: ViolationCode, place: string, error: unknown): Violation {
  if (!(error instanceof StoreError) || isExhaustion(error)) throw error;
  return { code, place, message: error.message };
}

/** A backup after verification. */
export interface VerifiedBackup {
  readonly source: BackupSource;
  /** All faults; empty when it is sound. */
  readonly violations: readonly Violation[];
}

/**
 * Verifies a backup. `onOpen` is called before it is read, `onBytes` with the size of each read.
 * @throws {StoreError} BACKUP_NOT_FOUND, STORE_FORMAT_UNSUPPORTED, IO_FAILED; KEY_INVALID;
 *   CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and SIGNATURE_INVALID for one in the options; ABORTED
 */
export async function verifyBackup(
  directory: string,
  options: VerifyOptions,
  reading: {
    readonly onOpen?: (source: BackupSource) => Promise<void>;
    readonly onBytes?: (bytes: number) => void;
  } = {},
): Promise<VerifiedBackup> {
  const violations: Violation[] = [];
  const source = await openBackupSource(resolve(directory), (violation) => violations.push(violation), reading.onBytes);
  if (source.isUnfinished) options.onNotice?.(unfinished(source));
  await reading.onOpen?.(source);
  const found = await verifySource(source, options);
  return { source, violations: violations.concat(found) };
}

function unfinished({ reader: { directory }, size }: BackupSource): string {
  const state = `its complete state is that at ${size} events, and other files are ignored`;
  return `a backup to ${directory} was interrupted, or is still running: ${state}; run the backup again to tidy up`;
}
