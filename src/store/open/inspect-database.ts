import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_CURRENT_BYTES } from '../../limits.js';
import { type Manifest, parseManifest } from '../../log/leveldb/manifest.js';
import { parseRecordFile } from '../../log/leveldb/record-file.js';
import { systemCode } from '../files/durable-file.js';
import { readRegularFile } from '../files/regular-file.js';
import { type DatabaseFile, databaseFiles } from './database-files.js';
import { inspectTables, type TableLook } from './inspect-tables.js';
import { inspectWriteAheadLogs } from './inspect-write-ahead-logs.js';

/** Something about the files of the database that LevelDB would pass over in silence, or refuse. */
export interface DatabaseFault {
  /** The file's name in the directory of the log. */
  readonly file: string;
  /** What is wrong with it, and which events that costs. */
  readonly message: string;
}

/** What the files of a database look like from outside. */
export interface DatabaseReport {
  readonly faults: readonly DatabaseFault[];
  /** Whether a write-ahead log ends in a write that did not finish: a crash leaves that, and so does damage at its end. */
  readonly isTorn: boolean;
  /** Seq of the last event in a whole batch of a write-ahead log, also behind damage; 0 when there is none. */
  readonly lastEvent: number;
}

const CURRENT = 'CURRENT';
const EVERY_TABLE: TableLook = { maxTableBytes: Number.POSITIVE_INFINITY };

/**
 * Looks at the files of the database in `location`, and changes nothing: CURRENT, the MANIFEST and every write-ahead log whole, the
 * size of every table, and every block of the tables that `look` says. LevelDB replays and removes its write-ahead
 * log when it opens: what it drops then is gone, so this comes before. Costs reading all that.
 * @throws {StoreError} IO_FAILED when a file cannot be read, or goes meanwhile; STORE_NOT_WRITABLE
 */
export async function inspectDatabase(location: string, look = EVERY_TABLE): Promise<DatabaseReport> {
  try {
    return await inspectFiles(location, look);
  } catch (error) {
    if (!(error instanceof DatabaseDamage)) throw error;
    return { faults: [{ file: error.file, message: error.message }], isTorn: false, lastEvent: 0 };
  }
}

/** Damage that leaves nothing else to look at. */
class DatabaseDamage extends Error {
  readonly file: string;

  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }
}

async function inspectFiles(location: string, look: TableLook): Promise<DatabaseReport> {
  const files = databaseFiles(location, await listed(location));
  for (const [name, { isFile }] of files) {
    if (isFile) continue;
    throw new DatabaseDamage(
      name,
      `${name} is no file, so that the log cannot be opened; no event need be lost but those in it`,
    );
  }
  const manifest = await readManifest(location);
  const tables = await inspectTables(location, files, manifest.tables, look);
  const logs = await inspectWriteAheadLogs(location, [...files.keys()], manifest);
  return { ...logs, faults: [...sharedSpares(files, manifest), ...tables, ...logs.faults] };
}

/**
 * Faults of files that no MANIFEST names: LevelDB may give their numbers again, and write over what
 * another name stands for too.
 */
function sharedSpares(files: ReadonlyMap<string, DatabaseFile>, manifest: NamedManifest): DatabaseFault[] {
  const isSpare = (name: string): boolean =>
    name.endsWith('.dbtmp') || (name.startsWith('MANIFEST-') && name !== manifest.name) || isSpareTable(name, manifest);
  return [...files]
    .filter(([name, { isShared }]) => isShared && isSpare(name))
    .map(([file]) => ({
      file,
      message: `${file} is not used, and LevelDB may write over it, which a hard link has elsewhere too; no event is lost without it`,
    }));
}

function isSpareTable(name: string, { tables }: Manifest): boolean {
  const number = /^(\d+)\.(?:ldb|sst)$/.exec(name)?.[1];
  return number !== undefined && !tables.has(Number(number));
}

interface NamedManifest extends Manifest {
  readonly name: string;
}

async function listed(location: string): Promise<string[]> {
  try {
    return await readdir(location);
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new DatabaseDamage('.', 'the directory of the log is missing, and every event with it');
    if (systemCode(error) === 'ENOTDIR') throw new DatabaseDamage('.', 'a file stands in the place of the log');
    throw error;
  }
}

async function readManifest(location: string): Promise<NamedManifest> {
  const name = await manifestName(location);
  const bytes = await readDatabaseFile(location, name);
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  // A crash may leave an edit unfinished: its bytes end with the file. LevelDB takes any other end for damage as well.
  const [stretch] = damaged;
  if (stretch !== undefined) throw damagedManifest(name, `bytes ${stretch.offset} to ${stretch.end} are damaged`);
  const manifest = parseManifest(records.map(({ bytes: edit }) => edit));
  if (manifest === undefined)
    throw damagedManifest(name, tornAt === undefined ? 'it is none' : `it ends at byte ${tornAt}`);
  return { ...manifest, name };
}

async function manifestName(location: string): Promise<string> {
  const bytes = await readDatabaseFile(location, CURRENT, MAX_CURRENT_BYTES);
  const name = /^(MANIFEST-\d+)\n$/.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  if (name !== undefined) return name;
  throw new DatabaseDamage(
    CURRENT,
    'CURRENT does not name a MANIFEST, so that no event can be found; none need be lost',
  );
}

async function readDatabaseFile(location: string, name: string, limitBytes?: number): Promise<Uint8Array> {
  const bytes = await readRegularFile(join(location, name), limitBytes === undefined ? {} : { limitBytes });
  if (bytes !== undefined) return bytes;
  throw new DatabaseDamage(name, `${name} is missing, so that no event can be found; none need be lost`);
}

function damagedManifest(name: string, why: string): DatabaseDamage {
  return new DatabaseDamage(name, `${name} is damaged, so that no event can be found; none need be lost: ${why}`);
}
