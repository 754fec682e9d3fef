import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventRange } from '../../log/leveldb/event-range.js';
import { type Manifest, parseManifest, type Table } from '../../log/leveldb/manifest.js';
import { parseRecordFile } from '../../log/leveldb/record-file.js';
import { type TableFault, tableFaults } from '../../log/leveldb/table.js';
import { systemCode } from '../files/durable-file.js';
import { isFileOrMissing, readRegularFile, readWholeFile } from '../files/regular-file.js';
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
/** The files that LevelDB opens by their names, and its lock. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|MANIFEST-\d+|\d+\.(?:log|ldb|sst))$/;

/**
 * Looks at the files of the database in `location`, and changes nothing: CURRENT, the MANIFEST and every write-ahead log whole, the
 * size of every table, and every block of the newest tables that have `maxTableBytes` together. LevelDB replays and removes its write-ahead
 * log when it opens: what it drops then is gone, so this comes before. Costs reading all that.
 */
export async function inspectDatabase(
  location: string,
  maxTableBytes = Number.POSITIVE_INFINITY,
): Promise<DatabaseReport> {
  try {
    return await inspectFiles(location, maxTableBytes);
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

async function inspectFiles(location: string, maxBytes: number): Promise<DatabaseReport> {
  const names = await listed(location);
  for (const name of names) {
    if (!DATABASE_FILE.test(name) || (await isFileOrMissing(join(location, name)))) continue;
    throw new DatabaseDamage(
      name,
      `${name} is no file, so that the log cannot be opened; no event need be lost but those in it`,
    );
  }
  const manifest = await readManifest(location);
  const tables = await inspectTables(location, names, { tables: manifest.tables, maxBytes });
  const logs = await inspectWriteAheadLogs(location, names, manifest);
  return { ...logs, faults: [...tables, ...logs.faults] };
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

async function readManifest(location: string): Promise<Manifest> {
  const name = await manifestName(location);
  const bytes = await readDatabaseFile(location, name);
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  // A crash may leave an edit unfinished: its bytes end with the file. LevelDB takes any other end for damage as well.
  const [stretch] = damaged;
  if (stretch !== undefined) throw damagedManifest(name, `bytes ${stretch.offset} to ${stretch.end} are damaged`);
  const manifest = parseManifest(records.map(({ bytes: edit }) => edit));
  if (manifest === undefined)
    throw damagedManifest(name, tornAt === undefined ? 'it is none' : `it ends at byte ${tornAt}`);
  return manifest;
}

async function manifestName(location: string): Promise<string> {
  const bytes = await readDatabaseFile(location, CURRENT);
  const name = /^(MANIFEST-\d+)\n$/.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  if (name !== undefined) return name;
  throw new DatabaseDamage(
    CURRENT,
    'CURRENT does not name a MANIFEST, so that no event can be found; none need be lost',
  );
}

async function readDatabaseFile(location: string, name: string): Promise<Uint8Array> {
  const bytes = await readRegularFile(join(location, name));
  if (bytes !== undefined) return bytes;
  throw new DatabaseDamage(name, `${name} is missing, so that no event can be found; none need be lost`);
}

function damagedManifest(name: string, why: string): DatabaseDamage {
  return new DatabaseDamage(name, `${name} is damaged, so that no event can be found; none need be lost: ${why}`);
}

/** A table of the database, and the file where it must be. */
interface TableFile {
  readonly table: Table;
  readonly name: string;
  /** What of it can be told without reading it. */
  readonly faults: readonly TableFault[];
  readonly isRead: boolean;
}

async function inspectTables(
  location: string,
  names: readonly string[],
  { tables, maxBytes }: { readonly tables: ReadonlyMap<number, Table>; readonly maxBytes: number },
): Promise<DatabaseFault[]> {
  const files: TableFile[] = [];
  let bytesLeft = maxBytes;
  for (const [number, table] of [...tables].sort(([a], [b]) => b - a)) {
    const isRead = table.size <= bytesLeft;
    if (isRead) bytesLeft -= table.size;
    files.push(await tableFile(location, names, { number, table, isRead }));
  }
  const faults: DatabaseFault[] = [];
  let ahead = bytesOfTable(location, files[0]);
  for (const [at, { table, name, faults: known }] of files.entries()) {
    const bytes = await ahead;
    // The next is read while this one is summed up.
    ahead = bytesOfTable(location, files[at + 1]);
    for (const { message, isWholeTable, events } of bytes === undefined ? known : tableFaults(bytes)) {
      const lost = eventsText(isWholeTable ? table.events : events);
      faults.push({ file: name, message: `the table ${name} ${message}, and with it ${lost}` });
    }
  }
  return faults;
}

async function tableFile(
  location: string,
  names: readonly string[],
  { number, table, isRead }: { readonly number: number; readonly table: Table; readonly isRead: boolean },
): Promise<TableFile> {
  const stem = String(number).padStart(6, '0');
  const name = [`${stem}.ldb`, `${stem}.sst`].find((each) => names.includes(each));
  if (name === undefined) return { table, name: `${stem}.ldb`, faults: [wholeTable('is missing')], isRead: false };
  const { size } = await stat(join(location, name));
  if (size === table.size) return { table, name, faults: [], isRead };
  return { table, name, faults: [wholeTable(`has ${size} bytes, expected ${table.size}`)], isRead: false };
}

function wholeTable(message: string): TableFault {
  return { message, isWholeTable: true, events: undefined };
}

/** Resolves with the bytes of a table that is to be read; one that is gone by now is looked for by whoever looks again. */
function bytesOfTable(location: string, file: TableFile | undefined): Promise<Uint8Array | undefined> {
  if (file === undefined || !file.isRead) return Promise.resolve(undefined);
  const bytes = readWholeFile(join(location, file.name), file.table.size);
  // It is waited for in its turn: a failure before that must not end the process.
  bytes.catch(() => undefined);
  return bytes;
}

function eventsText(events: EventRange | undefined): string {
  if (events === undefined) return 'rows that are no events';
  const { first, last } = events;
  if (last === Number.POSITIVE_INFINITY) return first === 1 ? 'events' : `events from ${first} on`;
  return first === last ? `event ${first}` : `events between ${first} and ${last}`;
}
