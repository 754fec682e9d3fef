import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { MAX_KEPT_BLOCK_BYTES } from '../../limits.js';
import { LevelDamage } from '../../log/leveldb/coding.js';
import { asDatabase, ReadOnlyLevel, type Runs, tableInMemory } from '../../log/leveldb/read-only-level.js';
import {
  type BatchEntry,
  type Manifest,
  parseManifest,
  parseRecordFile,
  readWriteBatch,
} from '../../log/leveldb/log-files.js';
import { BlockCache, compareKeys, type DatabaseFile, TableReader } from '../../log/leveldb/table.js';
import type { Database } from '../../log/log.js';
import { openFailure } from '../../log/leveldb/open-level.js';
import { ioFailure, systemCode } from '../files/files.js';

/** Times that the files are opened while another process compacts them: each time one compaction later. */
const MAX_TRIES = 100;
/** Codes of a sync that is not possible for a file, or not needed: as on a file system for reading only. */
const NO_SYNC = new Set(['EINVAL', 'EROFS', 'ENOTSUP', 'ENOSYS', 'EPERM', 'EBADF']);

/**
 * Opens the database at `location` for reading, as it is at this moment, and writes nothing: no lock, no file, no compaction. Other
 * processes may read and write it meanwhile: every file that is needed is held open, so that it can be read after it was removed. Costs
 * reading the write-ahead log, and a descriptor for each table.
 * @throws {StoreError} LOG_CORRUPT when a file is missing or damaged; STORE_NOT_WRITABLE when it may not be read; IO_FAILED
 */
export async function openDatabaseReadOnly(location: string): Promise<Database> {
  for (let tries = 1; ; tries++) {
    const files = new OpenFiles(location);
    try {
      const database = asDatabase(new ReadOnlyLevel(runsOf(files)));
      await database.open();
      return database;
    } catch (error) {
      files.close();
      // What is missing now is in the files that the next MANIFEST names.
      if (files.haveChanged() && tries < MAX_TRIES) continue;
      throw error instanceof LevelDamage ? openFailure(location, error) : ioFailure(`read the log ${location}`, error);
    }
  }
}

/** The files of a database as one MANIFEST names them. */
class OpenFiles {
  readonly #location: string;
  readonly #opened: OpenFile[] = [];
  #state = '';

  constructor(location: string) {
    this.#location = location;
  }

  /** Reads the MANIFEST that CURRENT names, and takes note of it. */
  manifest(): Manifest {
    this.#state = this.#stateNow();
    const name = this.#manifestName();
    const { records, damaged } = parseRecordFile(this.#readAll(name));
    const manifest = damaged.length === 0 ? parseManifest(records.map(({ bytes }) => bytes)) : undefined;
    if (manifest === undefined) throw new LevelDamage(`${name} is damaged`);
    return manifest;
  }

  /** Whether the database has had other files since its MANIFEST was read. */
  haveChanged(): boolean {
    return this.#stateNow() !== this.#state;
  }

  /** Opens the first of `names` that is there. */
  open(...names: readonly string[]): OpenFile {
    for (const [at, name] of names.entries()) {
      try {
        const file = openFile(join(this.#location, name), name);
        this.#opened.push(file);
        return file;
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
        if (at === names.length - 1) throw new LevelDamage(`${names[0]} is missing`);
      }
    }
    throw new RangeError('no name of a file was given');
  }

  /** Returns the numbers of the write-ahead logs that are there, in their order. */
  logNumbers(): number[] {
    const names = readdirSync(this.#location);
    return names
      .flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  close(): void {
    for (const file of this.#opened) file.close();
  }

  #manifestName(): string {
    const name = /^(MANIFEST-\d+)\n$/.exec(new TextDecoder().decode(this.#readAll('CURRENT')))?.[1];
    if (name === undefined) throw new LevelDamage('CURRENT does not name a MANIFEST');
    return name;
  }

  #readAll(name: string): Uint8Array {
    const file = this.open(name);
    return file.read(0, file.sizeBytes);
  }

  // Each change of the files is an edit at the end of the MANIFEST, or another MANIFEST.
  #stateNow(): string {
    try {
      const name = readFileSync(join(this.#location, 'CURRENT'), 'latin1').trim();
      return `${name} ${statSync(join(this.#location, name)).size}`;
    } catch (error) {
      return systemCode(error);
    }
  }
}

function runsOf(files: OpenFiles): Runs {
  const manifest = files.manifest();
  const tables = tableRuns(files, manifest);
  const memory = tableInMemory(unwrittenEntries(files, manifest));
  // A log that was written into a table, and removed, between two reads leaves a hole.
  if (files.haveChanged()) throw new LevelDamage('the files of the database change while they are opened');
  return memory === undefined ? tables : [[memory], ...tables];
}

/** Opens the tables: of level 0, each is a run of its own; of the others, the tables of a level are one. */
function tableRuns(files: OpenFiles, { tables }: Manifest): TableReader[][] {
  const cache = new BlockCache(MAX_KEPT_BLOCK_BYTES);
  const runs: TableReader[][] = [];
  const levels = new Map<number, TableReader[]>();
  for (const [number, table] of tables) {
    const stem = String(number).padStart(6, '0');
    const reader = new TableReader(files.open(`${stem}.ldb`, `${stem}.sst`), table, cache);
    const run = table.level === 0 ? [] : (levels.get(table.level) ?? []);
    run.push(reader);
    if (table.level === 0) runs.push(run);
    else levels.set(table.level, run);
  }
  for (const run of levels.values()) runs.push(run.sort((a, b) => compareKeys(a.smallest, b.smallest)));
  return runs;
}

/** Reads what stands in write-ahead logs and in no table yet, up to an end that was not finished; all of it is durable on return. */
function unwrittenEntries(files: OpenFiles, { logNumber, previousLogNumber }: Manifest): BatchEntry[] {
  const entries: BatchEntry[] = [];
  for (const number of files.logNumbers()) {
    if (number < logNumber && number !== previousLogNumber) continue;
    const file = files.open(`${String(number).padStart(6, '0')}.log`);
    const bytes = file.read(0, file.sizeBytes);
    // Another process may have written this, and not synced it yet.
    if (bytes.length > 0) file.sync();
    for (const record of parseRecordFile(bytes).records) {
      const batch: BatchEntry[] = [];
      if (readWriteBatch(record.bytes, (entry) => batch.push(entry)) === undefined) {
        throw new LevelDamage(`${file.name} is damaged at byte ${record.offset}`);
      }
      for (const entry of batch) entries.push(entry);
    }
  }
  return entries;
}

interface OpenFile extends DatabaseFile {
  /** Makes durable what was read. */
  sync(): void;
}

function openFile(path: string, name: string): OpenFile {
  // A pipe that stands in the place of a file must not be waited for, nor a link be followed.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
  const descriptor = openDescriptor(path, name, flags);
  const found = fstatSync(descriptor);
  if (!found.isFile()) {
    closeSync(descriptor);
    throw new LevelDamage(`${name} is no file`);
  }
  let isOpen = true;
  return {
    name,
    sizeBytes: found.size,
    read: (offset, length) => readFrom(descriptor, offset, length),
    sync: () => syncRead(descriptor),
    close: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

function openDescriptor(path: string, name: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw systemCode(error) === 'ELOOP' ? new LevelDamage(`${name} is no file`) : error;
  }
}

function readFrom(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let end = 0;
  while (end < length) {
    const read = readSync(descriptor, bytes, end, length - end, offset + end);
    if (read === 0) break;
    end += read;
  }
  return bytes.subarray(0, end);
}

function syncRead(descriptor: number): void {
  try {
    fdatasyncSync(descriptor);
  } catch (error) {
    if (!NO_SYNC.has(systemCode(error))) throw error;
  }
}
