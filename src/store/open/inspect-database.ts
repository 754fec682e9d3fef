import { join } from 'node:path';
import { lstatSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import {
  type DamagedStretch,
  type EventRange,
  type Manifest,
  parseManifest,
  parseRecordFile,
  parseWriteBatch,
  type Table,
  type WriteBatch,
} from '../../log/leveldb/log-files.js';
import { ioFailure, readRegularFile, readWholeFile, systemCode } from '../files/files.js';
import { MAX_CURRENT_BYTES, MAX_TABLE_BYTES_AT_OPEN } from '../../limits.js';
import { type TableFault, tableFaults } from '../../log/leveldb/table.js';
import type { WholeTables } from './whole-tables.js';

/** Returns why a look at the database in `location` is no answer: a file that was there when it began was removed. Another look may be one. */
function fileGone(location: string, name: string): StoreError {
  const path = join(location, name);
  return new StoreError('IO_FAILED', `cannot read ${path}: it was removed meanwhile`, { data: { path } });
}

/** The files that LevelDB opens or writes by their names, and its lock. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp))$/;

/** What can be told of a file of the database without reading it. */
export interface DatabaseFile {
  /**
   * False for what LevelDB must not open: a directory, a pipe, a link, which it would write
   * through.
   */
  readonly isFile: boolean;
  /** Whether it has another name as well, so that writing over it may harm somebody else. */
  readonly isShared: boolean;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds of Unix time of its last change, also of its names and rights: where the system has that, nobody can set it. */
  readonly changedAt: number;
  /** Differs after every change that the file system saw. */
  readonly version: string;
}

/**
 * Returns those of `names` that are files of the database in `location`, and are there.
 * @throws what `lstat` throws
 */
export function databaseFiles(location: string, names: readonly string[]): ReadonlyMap<string, DatabaseFile> {
  const files = new Map<string, DatabaseFile>();
  for (const name of names) {
    const file = DATABASE_FILE.test(name) ? lookAt(join(location, name)) : undefined;
    if (file !== undefined) files.set(name, file);
  }
  return files;
}

/** Returns what is at `path`, or undefined when it is gone. At once: handing it to another thread costs three times what it takes. */
function lookAt(path: string): DatabaseFile | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const { ino, nlink, size, mtimeNs, ctimeNs, ctimeMs } = found;
  const version = [ino, size, mtimeNs, ctimeNs].join(' ');
  return { isFile: found.isFile(), isShared: nlink > 1n, size: Number(size), changedAt: Number(ctimeMs), version };
}

/** A batch, and what is known about the place before it. */
interface PlacedBatch extends WriteBatch {
  readonly file: string;
  /** Damage in its file that ends where it begins. */
  readonly after: DamagedStretch | undefined;
}

interface LogContents {
  readonly batches: readonly PlacedBatch[];
  readonly faults: DatabaseReport['faults'];
  readonly isTorn: boolean;
}

/**
 * Looks at the write-ahead logs that LevelDB would replay. Each batch was synced before the next was begun, and continues the count of
 * the one before: so a stretch that is damaged before a whole batch, and a count that jumps, are damage and never what a crash left.
 */
async function inspectWriteAheadLogs(
  location: string,
  names: readonly string[],
  manifest: Manifest,
): Promise<DatabaseReport> {
  const { logNumber, previousLogNumber, lastSequence } = manifest;
  const numbers = names.flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? []).map(Number);
  const replayed = numbers
    .filter((number) => number >= logNumber || number === previousLogNumber)
    .sort((a, b) => a - b);
  // LevelDB makes the log durable before the MANIFEST names it, and removes it only after the MANIFEST names another.
  if (logNumber !== 0 && !replayed.includes(logNumber)) {
    const file = logName(logNumber);
    const message = `the write-ahead log ${file} is missing, or the MANIFEST lost its end: the last events are lost`;
    return { faults: [{ file, message }], isTorn: false, lastEvent: 0 };
  }
  const contents: LogContents[] = [];
  for (const number of replayed) contents.push(await readLog(location, logName(number)));
  const batches = contents.flatMap((each) => each.batches);
  const faults = [...contents.flatMap((each) => each.faults), ...gaps(batches, lastSequence)];
  const end = batches.at(-1);
  const isShort = end !== undefined && end.sequence + end.count - 1 < lastSequence;
  if (isShort)
    faults.push({ file: end.file, message: `the write-ahead log ${end.file} lost its end: ${lostAfter(end)}` });
  // A log that is not the last was finished before the next one was begun.
  const torn = contents.findIndex((each) => each.isTorn);
  if (torn >= 0 && torn < contents.length - 1 && faults.length === 0) {
    const file = logName(replayed[torn] as number);
    faults.push({ file, message: `the write-ahead log ${file} is damaged at its end` });
  }
  const lastEvent = batches.reduce((last, { events }) => Math.max(last, events?.last ?? 0), 0);
  return { faults, isTorn: torn >= 0, lastEvent };
}

async function readLog(location: string, file: string): Promise<LogContents> {
  const bytes = await readRegularFile(join(location, file));
  if (bytes === undefined) throw fileGone(location, file);
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  const batches: PlacedBatch[] = [];
  for (const { offset, bytes: record } of records) {
    const batch = parseWriteBatch(record);
    const after = damaged.find(({ end }) => end === offset);
    if (batch === undefined) {
      const message = `${file} is damaged at byte ${offset}: what stands there is no batch`;
      return { batches, faults: [{ file, message }], isTorn: false };
    }
    batches.push({ ...batch, file, after });
  }
  return { batches, faults: [], isTorn: tornAt !== undefined };
}

/** Says for each place where the count jumps, or bytes are damaged, which events are lost there. */
function gaps(batches: readonly PlacedBatch[], lastSequence: number): { file: string; message: string }[] {
  const faults: { file: string; message: string }[] = [];
  let next: number | undefined;
  let lastEvent: number | undefined;
  for (const batch of batches) {
    const { sequence, count, file, after, events } = batch;
    // The first may have come before the MANIFEST's last edit.
    const isNext = next === undefined ? sequence <= lastSequence + 1 : sequence === next;
    if (!isNext || after !== undefined) {
      const place = after === undefined ? 'lacks a batch' : `is damaged from byte ${after.offset} to ${after.end}`;
      faults.push({ file, message: `the write-ahead log ${file} ${place}: ${lostBetween(lastEvent, events?.first)}` });
    }
    next = sequence + count;
    lastEvent = events?.last ?? lastEvent;
  }
  return faults;
}

function lostBetween(before: number | undefined, next: number | undefined): string {
  if (next === undefined)
    return before === undefined ? 'what was written there is lost' : `what came after event ${before} is lost`;
  if (before === undefined) return `events before ${next} are lost`;
  if (next === before + 1) return 'no event is lost there, though rows are';
  return next === before + 2 ? `event ${before + 1} is lost` : `events ${before + 1} to ${next - 1} are lost`;
}

function lostAfter({ events }: WriteBatch): string {
  return events === undefined ? 'the last events are lost' : `the events after ${events.last} are lost`;
}

function logName(number: number): string {
  return `${String(number).padStart(6, '0')}.log`;
}

/** Something about the files of the database that LevelDB would pass over in silence, or refuse. */
interface DatabaseFault {
  /** The file's name in the directory of the log. */
  readonly file: string;
  /** What is wrong with it, and which events that costs. */
  readonly message: string;
}

/** What the files of a database look like from outside. */
interface DatabaseReport {
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

/** Which tables are read. */
interface TableLook {
  /** Of the newest, those that have so many bytes together. */
  readonly maxTableBytes: number;
  /** What need not be read again; it learns of those that are. */
  readonly wholeTables?: WholeTables | undefined;
}

/** A table of the database, and the file where it must be. */
interface TableFile {
  readonly table: Table;
  readonly name: string;
  readonly file: DatabaseFile | undefined;
  /** What of it can be told without reading it. */
  readonly faults: readonly TableFault[];
  readonly isRead: boolean;
}

/** Resolves with the faults of the tables that the MANIFEST names, the newest first: that each is there, and the blocks of those to be read. */
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
    // The next is read while this one is summed up.
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
  // It is waited for in its turn: a failure before that must not end the process.
  bytes.catch(() => undefined);
  return bytes;
}

function told(file: string, table: Table, { message, isWholeTable, events }: TableFault): DatabaseFault {
  return {
    file,
    message: `the table ${file} ${message}, and with it ${eventsText(isWholeTable ? table.events : events)}`,
  };
}

function eventsText(events: EventRange | undefined): string {
  if (events === undefined) return 'rows that are no events';
  const { first, last } = events;
  if (last === Number.POSITIVE_INFINITY) return first === 1 ? 'events' : `events from ${first} on`;
  return first === last ? `event ${first}` : `events between ${first} and ${last}`;
}

/** Looks until one of them found the directory the same before and after. */
const MAX_LOOKS = 10;

/** What an open for writing reads of the tables: the newest, unless they were found whole lately. */
export function newestTables(wholeTables?: WholeTables): TableLook {
  return { maxTableBytes: MAX_TABLE_BYTES_AT_OPEN, wholeTables };
}

/**
 * Resolves with whether the database at `location` ends in a write that did not finish, after a look that its files are whole, with
 * those tables that `look` names. Nothing is changed.
 * @throws {StoreError} LOG_CORRUPT with each fault of a file and the events that it costs; STORE_NOT_WRITABLE, IO_FAILED
 */
export async function checkDatabase(location: string, look: TableLook): Promise<{ readonly isTorn: boolean }> {
  const { faults, isTorn } = await lookAtDatabase(location, look);
  if (faults.length === 0) return { isTorn };
  const said = faults.map(({ message }) => message).join('; ');
  throw new StoreError('LOG_CORRUPT', `the log ${location} is damaged, and left as it is: ${said}`, {
    data: { location, faults },
  });
}

/**
 * Resolves with what the files of the database at `location` look like; nothing is changed. Files that another process changes while
 * they are looked at are in use, not damaged: LevelDB's lock then says so.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export async function lookAtDatabase(location: string, look = newestTables()): Promise<DatabaseReport> {
  const first = await inspectDatabase(location, look).catch(() => undefined);
  // Most are whole. Only one that is not may have been changed meanwhile.
  if (first?.faults.length === 0 && !first.isTorn) return first;
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const before = await fingerprint(location);
    const report = await inspectDatabase(location, look).catch((error: unknown) => error);
    if ((await fingerprint(location)) !== before) continue;
    if (report instanceof Error) throw ioFailure(`look at the log ${location}`, report);
    return report as DatabaseReport;
  }
  return { faults: [], isTorn: false, lastEvent: 0 };
}

async function fingerprint(location: string): Promise<string> {
  try {
    const names = (await readdir(location)).sort();
    const files = names.map(async (name) => {
      const { ino, size, mtimeNs } = await stat(join(location, name), { bigint: true });
      return [name, ino, size, mtimeNs].join(' ');
    });
    return (await Promise.all(files)).join('\n');
  } catch (error) {
    return systemCode(error);
  }
}
