import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isStoreError } from '../../errors.js';
import { formatSidecar, parseSidecar, readSidecarBytes, SIDECAR_FILE } from '../open/sidecar.js';
import type {
  LiveViews,
  Reading,
  Report,
  SourceIdentity,
  StoredBlob,
  StoredCheckpoint,
  StoredContent,
  StoredHash,
  StoredPosition,
  StoredRecord,
  StoredSnapshot,
  VerifySource,
} from './verify-source.js';
import { uncheckedRecords } from '../../log/event-rows.js';
import {
  CONTENT_PREFIX,
  EVENT_PREFIX,
  nameOfPositionKey,
  POSITION_PREFIX,
  REMOVED_PREFIX,
  seqOfKey,
  SUBJECT_PREFIX,
  TREE_PREFIX,
} from '../../log/rows.js';
import { leafHash, MAX_TILE_LEVEL } from '../../log/merkle.js';
import { type KeyRange, rowsOfKind, type StoredRow } from '../../log/stored-rows.js';
import type { RowReads } from '../../log/log.js';
import type { IndexRow } from '../../log/subject-index.js';
import { bytesToHex, type Digest, digestFromHash, HASH_BYTES, isDigest } from '../../model/digest.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { namesIn, NotAFile, readRegularFile, unless } from '../files/files.js';
import { BlobStore } from '../layers/blob-store.js';
import { CHECKPOINT_FILE } from '../open/checkpoint-keeper.js';
import { damagedLogs, lostCheckpoints } from '../files/log-folders.js';
import { equalBytes } from '../../model/bytes.js';

/**
 * Resolves with the identity of a store or backup; undefined when its sidecar is missing or
 * damaged, which is reported.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when a newer version wrote it, STORE_NOT_WRITABLE,
 *   IO_FAILED
 */
export async function readIdentity(directory: string, report: Report): Promise<SourceIdentity | undefined> {
  const place = SIDECAR_FILE;
  try {
    const bytes = await readSidecarBytes(directory);
    if (bytes === undefined) {
      report({ code: 'SIDECAR_MISSING', place, message: `${place} is missing: which store this is cannot be told` });
      return undefined;
    }
    const sidecar = parseSidecar(directory, bytes);
    const isVersion = Number.isSafeInteger(sidecar.version) && sidecar.version > 0;
    if (!isVersion || !equalBytes(bytes, Buffer.from(formatSidecar(sidecar)))) {
      report({ code: 'SIDECAR_DAMAGED', place, message: `${place} is not written as this version writes it` });
    }
    return sidecar;
  } catch (error) {
    if (!isStoreError(error, 'SIDECAR_INVALID')) throw error;
    report({ code: 'SIDECAR_DAMAGED', place, message: error.message });
    return undefined;
  }
}

/** Length in bytes and name of each kind of key; undefined for keys of any length. */
const KINDS = [
  { prefix: CONTENT_PREFIX, keyBytes: 1 + HASH_BYTES, name: 'content' },
  { prefix: EVENT_PREFIX, keyBytes: 9, name: 'events' },
  { prefix: POSITION_PREFIX, keyBytes: undefined, name: 'positions of consumers' },
  { prefix: SUBJECT_PREFIX, keyBytes: 18, name: 'the subject index' },
  { prefix: TREE_PREFIX, keyBytes: 10, name: 'the Merkle tree' },
  // Content being removed from the disk; the next open continues.
  { prefix: REMOVED_PREFIX, keyBytes: 1 + HASH_BYTES + 8, name: 'removals' },
] as const;

type Kind = (typeof KINDS)[number];

/** The rows of a log's database, for verification. */
class LogRows {
  readonly #rows: RowReads;

  constructor(rows: RowReads) {
    this.#rows = rows;
  }

  async *records(reading: Reading): AsyncGenerator<readonly StoredRecord[]> {
    let after = 0;
    for await (const rows of this.#ofKind(EVENT_PREFIX, reading)) {
      yield rows.flatMap(([key, row]) => {
        const last = seqOfKey(key);
        const records = uncheckedRecords(row, { after, last });
        after = last;
        return records;
      });
    }
  }

  async *hashes(level: number, reading: Reading): AsyncGenerator<readonly StoredHash[]> {
    if (level === 0) {
      for await (const records of this.records(reading)) yield records.flatMap(leafOf);
      return;
    }
    for await (const rows of this.#ofKind(TREE_PREFIX, reading, level)) {
      yield rows.map(([key, hash]) => ({ index: seqOfKey(key), hash, place: `tile ${level}/${seqOfKey(key)}` }));
    }
  }

  async *contents(reading: Reading): AsyncGenerator<readonly StoredContent[]> {
    for await (const rows of this.#ofKind(CONTENT_PREFIX, reading)) {
      yield rows.map(([key, bytes]) => ({ digest: digestFromHash(key, 1), bytes }));
    }
  }

  indexRows(reading: Reading): AsyncGenerator<readonly IndexRow[]> {
    return this.#ofKind(SUBJECT_PREFIX, reading);
  }

  async *positions(reading: Reading): AsyncGenerator<StoredPosition> {
    for await (const rows of this.#ofKind(POSITION_PREFIX, reading)) {
      for (const [key, row] of rows) yield { name: nameOfPositionKey(key), row };
    }
  }

  /** Reports rows of no known kind. */
  async reportStrays({ report }: Reading): Promise<void> {
    const ignore = (): void => undefined;
    for (const range of strayRanges()) {
      for await (const [key] of this.#rows.read(range, ignore)) {
        const place = `row ${bytesToHex(key.subarray(0, 40))}`;
        report({ code: 'ROW_UNKNOWN', place, message: `the ${place} is of no kind that this version knows` });
      }
    }
  }

  async *#ofKind(prefix: Kind['prefix'], { report }: Reading, level?: number): AsyncGenerator<readonly StoredRow[]> {
    const { name, keyBytes } = KINDS.find((kind) => kind.prefix === prefix) as Kind;
    const range = level === undefined ? rowsOfKind(prefix) : rowsOfLevel(level);
    const onDamage = (why: string): void =>
      report({ code: 'ROWS_UNREADABLE', place: name, message: `some rows of ${name} cannot be read: ${why}` });
    for await (const page of this.#rows.pages(range, onDamage)) {
      const isKnown = ([key]: StoredRow): boolean => keyBytes === undefined || key.length === keyBytes;
      for (const [key] of page.filter((row) => !isKnown(row))) {
        const place = `row ${bytesToHex(key.subarray(0, 40))}`;
        const message = `the ${place} has a key of ${key.length} bytes, expected ${keyBytes} for one of ${name}`;
        report({ code: 'ROW_UNKNOWN', place, message, expected: keyBytes, found: key.length });
      }
      yield page.filter(isKnown);
    }
  }
}

function leafOf({ seq, record, leafHash: stored, sharedRow }: StoredRecord): StoredHash[] {
  const hash = sharedRow?.isWhole === true ? leafHash(record) : stored;
  return hash === undefined ? [] : [{ index: seq - 1, hash, place: `event ${seq}` }];
}

/** The key ranges that are never written. */
function* strayRanges(): Generator<KeyRange> {
  let gte = Uint8Array.of(0);
  for (const { prefix } of KINDS) {
    yield { gte, lt: Uint8Array.of(prefix) };
    gte = Uint8Array.of(prefix + 1);
  }
  yield { gte, lt: new Uint8Array(32).fill(0xff) };
  // Leaves are stored with their events, and no tree has more levels.
  yield { gte: Uint8Array.of(TREE_PREFIX), lt: Uint8Array.of(TREE_PREFIX, 1) };
  yield { gte: Uint8Array.of(TREE_PREFIX, MAX_TILE_LEVEL + 1), lt: Uint8Array.of(TREE_PREFIX + 1) };
}

function rowsOfLevel(level: number): KeyRange {
  return { gte: Uint8Array.of(TREE_PREFIX, level), lt: Uint8Array.of(TREE_PREFIX, level + 1) };
}

const BLOBS = join('blobs', 'sha256');
const SNAPSHOTS = 'snapshots';
/** Prefix of files that a crash may leave; the next open removes them. */
const TEMPORARY = '.tmp-';

/** The files of a store, for verification. Opens none of LevelDB's. */
export class StoreFiles {
  readonly #directory: string;
  readonly #blobs: BlobStore;

  constructor(directory: string) {
    this.#directory = directory;
    this.#blobs = new BlobStore(join(directory, 'blobs'));
  }

  /** Resolves with the stored checkpoint, if any. */
  async checkpoint(): Promise<StoredCheckpoint | undefined> {
    const text = await this.#read(CHECKPOINT_FILE, MAX_NOTE_BYTES);
    return text === undefined ? undefined : { text, place: CHECKPOINT_FILE };
  }

  /** Resolves with the snapshots existing now. */
  async snapshots(): Promise<StoredSnapshot[]> {
    const names = await this.#namesIn(SNAPSHOTS);
    return names
      .filter((name) => !name.startsWith(TEMPORARY))
      .map((name) => ({ name, read: () => this.#read(join(SNAPSHOTS, name)) }));
  }

  /** Returns the names of the damaged logs set aside by rebuilds. */
  damagedLogs(): string[] {
    return damagedLogs(this.#directory);
  }

  /** Returns the names of the checkpoints of events that rebuilds accepted as lost. */
  lostCheckpoints(): string[] {
    return lostCheckpoints(this.#directory);
  }

  async *blobs(): AsyncGenerator<StoredBlob> {
    for (const name of await this.#namesIn(BLOBS)) {
      const digest = `sha256:${name}`;
      if (!isDigest(digest)) continue;
      const path = join(this.#directory, BLOBS, name);
      const found = await unless(['ENOENT'], `read ${path}`, () => lstat(path));
      if (found === undefined) continue;
      yield { digest, size: found.size, place: `blobs/sha256/${name}`, read: () => this.#blobs.read(digest) };
    }
  }

  /** Reports files whose names are not those of blobs. */
  async reportStrays({ report }: Reading): Promise<void> {
    for (const name of await this.#namesIn(BLOBS)) {
      const place = `blobs/sha256/${name}`;
      if (isDigest(`sha256:${name}`)) continue;
      report({ code: 'FILE_UNKNOWN', place, message: `no blob has the name of the file ${place}` });
    }
  }

  async #namesIn(folder: string): Promise<string[]> {
    return ((await namesIn(join(this.#directory, folder))) ?? []).sort();
  }

  async #read(file: string, limitBytes?: number): Promise<Uint8Array | undefined> {
    // What is not a file is reported as a damaged one.
    return readRegularFile(join(this.#directory, file), { limitBytes }).catch((error: unknown) => {
      if (error instanceof NotAFile) return new Uint8Array(0);
      throw error;
    });
  }
}

/** What a store is verified from. */
export interface StoreSourceParts {
  readonly identity: SourceIdentity | undefined;
  /** Snapshot of the rows. */
  readonly rows: RowReads;
  readonly files: StoreFiles;
  /** Taken before the rows, which must then contain what a file claims of the log. */
  readonly checkpoint: VerifySource['checkpoint'];
  readonly snapshots: readonly StoredSnapshot[];
  /** Absent when the rows should have a subject index; `false` if an aborted rebuild left none. */
  readonly hasSubjectIndex?: boolean | undefined;
  readonly liveViews?: LiveViews | undefined;
  readonly isInFlight?: ((digest: Digest) => Promise<boolean>) | undefined;
}

/** Resolves with the store as a verification source. The caller closes the rows. */
export async function storeSource(parts: StoreSourceParts): Promise<VerifySource> {
  const { rows, files, snapshots, isInFlight, hasSubjectIndex = true, ...rest } = parts;
  const log = new LogRows(rows);
  return {
    ...rest,
    size: await rows.lastSeq(),
    damagedLogs: files.damagedLogs(),
    lostCheckpoints: files.lostCheckpoints(),
    records: (reading) => log.records(reading),
    hashes: (level, reading) => log.hashes(level, reading),
    contents: (reading) => log.contents(reading),
    positions: (reading) => log.positions(reading),
    blobs: () => files.blobs(),
    async *snapshots(): AsyncGenerator<StoredSnapshot> {
      yield* snapshots;
    },
    async reportStrays(reading: Reading): Promise<void> {
      await log.reportStrays(reading);
      await files.reportStrays(reading);
    },
    ...(hasSubjectIndex ? { indexRows: (reading: Reading) => log.indexRows(reading) } : {}),
    ...(isInFlight === undefined ? {} : { isInFlight }),
  };
}
