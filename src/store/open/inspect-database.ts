import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_TABLE_BYTES_AT_OPEN } from '../../limits.js';
import type { EventRange, Manifest, Table } from '../../log/leveldb/log-files.js';
import { type TableFault, tableFaults } from '../../log/leveldb/table.js';
import { ioFailure, readWholeFile } from '../files/files.js';
import {
  DatabaseDamage,
  type DatabaseFault,
  type DatabaseFile,
  type DatabaseFiles,
  databaseFiles,
  fileGone,
  readDatabaseFiles,
} from './database-files.js';
import type { WholeTables } from './whole-tables.js';

/** Selects the tables to read. */
interface TableLook {
  /** Reads the newest tables up to this many bytes in total. */
  readonly maxTableBytes: number;
  /** Tables to skip; those read are added to it. */
  readonly wholeTables?: WholeTables | undefined;
}

/** The state of a database's files. */
interface DatabaseReport {
  readonly faults: readonly DatabaseFault[];
  /** Whether a write-ahead log ends in an unfinished write, from a crash or damage. */
  readonly isTorn: boolean;
  /** Seq of the last event in a whole batch of a log, also behind damage; 0 when there is none. */
  readonly lastEvent: number;
  /** The files read; undefined when nothing could be. */
  readonly files?: DatabaseFiles | undefined;
}

const EVERY_TABLE: TableLook = { maxTableBytes: Number.POSITIVE_INFINITY };
/** Attempts to get a report of files that did not change meanwhile. */
const MAX_TRIES = 10;

/** Returns the tables that an open for writing reads: the newest, except those known whole. */
export function newestTables(wholeTables?: WholeTables): TableLook {
  return { maxTableBytes: MAX_TABLE_BYTES_AT_OPEN, wholeTables };
}

/**
 * Resolves with the report of `lookAtDatabase`, which has no faults.
 * @throws {StoreError} LOG_CORRUPT with each faulty file and the events it costs
 */
export async function checkDatabase(location: string, look: TableLook): Promise<DatabaseReport> {
  const report = await lookAtDatabase(location, look);
  const { faults } = report;
  if (faults.length === 0) return report;
  const found = faults.map(({ message }) => message).join('; ');
  const message = `the log ${location} is damaged, and left as it is: ${found}`;
  throw new StoreError('LOG_CORRUPT', message, { data: { location, faults } });
}

/**
 * Inspects the database at `location`, retrying while another process changes it: such files are in
 * use, not damaged, and LevelDB's lock then decides.
 */
export async function lookAtDatabase(location: string, look = newestTables()): Promise<DatabaseReport> {
  const first = await inspectDatabase(location, look).catch(() => undefined);
  // Only a faulty result may be due to a concurrent change.
  if (first?.faults.length === 0 && !first.isTorn) return first;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const before = fingerprint(location);
    const report = await inspectDatabase(location, look).catch((error: unknown) => error);
    if (fingerprint(location) !== before) continue;
    if (report instanceof Error) throw ioFailure(`inspect the log ${location}`, report);
    return report as DatabaseReport;
  }
  return { faults: [], isTorn: false, lastEvent: 0 };
}

function fingerprint(location: string): string {
  try {
    return [...databaseFiles(location)].map(([name, { version }]) => `${name} ${version}`).join('\n');
  } catch (error) {
    return String(error);
  }
}

/**
 * Inspects the database at `location` once, and changes nothing: reads CURRENT, the MANIFEST and
 * every write-ahead log, and of the tables their sizes and what `look` selects.
 */
export async function inspectDatabase(location: string, look = EVERY_TABLE): Promise<DatabaseReport> {
  try {
    const files = readDatabaseFiles(location);
    const tables = await inspectTables(location, files.files, files.manifest.tables, look);
    return {
      faults: [...sharedSpares(files), ...tables, ...files.faults],
      isTorn: files.logs.some(({ isTorn }) => isTorn),
      lastEvent: files.logs.reduce((last, { lastEvent = 0 }) => Math.max(last, lastEvent), 0),
      files,
    };
  } catch (error) {
    if (!(error instanceof DatabaseDamage)) throw error;
    return { faults: [{ file: error.file, message: error.message }], isTorn: false, lastEvent: 0 };
  }
}

/**
 * Faults of hard-linked files that no MANIFEST names: LevelDB may reuse their numbers and overwrite
 * what the other name stands for.
 */
function sharedSpares({ files, manifest, manifestName }: DatabaseFiles): DatabaseFault[] {
  const isSpare = (name: string): boolean =>
    name.endsWith('.dbtmp') || (name.startsWith('MANIFEST-') && name !== manifestName) || isSpareTable(name, manifest);
  const why =
    'is not used, and LevelDB may write over it, which a hard link has elsewhere too; no event is lost without it';
  const spares = [...files].filter(([name, { isShared }]) => isShared && isSpare(name));
  return spares.map(([file]) => ({ file, message: `${file} ${why}` }));
}

function isSpareTable(name: string, { tables }: Manifest): boolean {
  const number = /^(\d+)\.(?:ldb|sst)$/.exec(name)?.[1];
  return number !== undefined && !tables.has(Number(number));
}

/** A table of the database and its expected file. */
interface TableFile {
  readonly table: Table;
  readonly name: string;
  readonly file: DatabaseFile | undefined;
  /** Faults that show without reading it. */
  readonly faults: readonly TableFault[];
  readonly isRead: boolean;
}

/**
 * Resolves with the faults of the tables in the MANIFEST, newest first: missing files, and bad
 * blocks of those to be read.
 */
export async function inspectTables(
  location: string,
  files: ReadonlyMap<string, DatabaseFile>,
  tables: ReadonlyMap<number, Table>,
  look: TableLook,
): Promise<DatabaseFault[]> {
  const tableFiles = tableFilesOf(files, tables, look);
  const read = tableFiles.filter(({ isRead }) => isRead);
  const faults = new Map(tableFiles.map(({ name, faults: known }) => [name, known]));
  let ahead = bytesOfTable(location, read[0]);
  for (const [at, { name, file }] of read.entries()) {
    const bytes = await ahead;
    // Read the next one while this one is summed up.
    ahead = bytesOfTable(location, read[at + 1]);
    if (bytes === undefined) throw fileGone(location, name);
    const found = tableFaults(bytes);
    faults.set(name, found);
    if (found.length === 0 && file !== undefined) look.wholeTables?.add(name, file);
  }
  return tableFiles.flatMap(({ table, name }) => (faults.get(name) ?? []).map((fault) => told(name, table, fault)));
}

function tableFilesOf(
  files: ReadonlyMap<string, DatabaseFile>,
  tables: ReadonlyMap<number, Table>,
  { maxTableBytes, wholeTables }: TableLook,
): TableFile[] {
  let bytesLeft = maxTableBytes;
  return [...tables]
    .sort(([a], [b]) => b - a)
    .map(([number, table]) => {
      const isNew = table.size <= bytesLeft;
      if (isNew) bytesLeft -= table.size;
      const found = tableFile(files, number, table);
      const { name, file, faults } = found;
      const isRead = isNew && file !== undefined && faults.length === 0 && wholeTables?.has(name, file) !== true;
      return { ...found, isRead };
    });
}

function tableFile(files: ReadonlyMap<string, DatabaseFile>, number: number, table: Table): Omit<TableFile, 'isRead'> {
  const stem = String(number).padStart(6, '0');
  const name = [`${stem}.ldb`, `${stem}.sst`].find((each) => files.has(each)) ?? `${stem}.ldb`;
  const file = files.get(name);
  const faults: TableFault[] = [];
  if (file === undefined) faults.push(wholeTable('is missing'));
  else if (file.size !== table.size) faults.push(wholeTable(`has ${file.size} bytes, expected ${table.size}`));
  return { table, name, file, faults };
}

function wholeTable(message: string): TableFault {
  return { message, isWholeTable: true, events: undefined };
}

/** Resolves with the bytes of a table, or undefined when it is gone. */
function bytesOfTable(location: string, file: TableFile | undefined): Promise<Uint8Array | undefined> {
  if (file === undefined) return Promise.resolve(undefined);
  const bytes = readWholeFile(join(location, file.name), file.table.size);
  // Awaited in its turn: an earlier rejection must not end the process.
  bytes.catch(() => undefined);
  return bytes;
}

function told(file: string, table: Table, { message, isWholeTable, events }: TableFault): DatabaseFault {
  const lost = eventsText(isWholeTable ? table.events : events);
  return { file, message: `the table ${file} ${message}, and with it ${lost}` };
}

function eventsText(events: EventRange | undefined): string {
  if (events === undefined) return 'rows that are not events';
  const { first, last } = events;
  if (last === Number.POSITIVE_INFINITY) return first === 1 ? 'events' : `events from ${first} on`;
  return first === last ? `event ${first}` : `events between ${first} and ${last}`;
}
