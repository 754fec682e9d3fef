import { join } from 'node:path';
import type { EventRange } from '../../log/leveldb/event-range.js';
import type { Table } from '../../log/leveldb/manifest.js';
import { type TableFault, tableFaults } from '../../log/leveldb/table.js';
import { readWholeFile } from '../files/regular-file.js';
import type { DatabaseFile } from './database-files.js';
import { fileGone } from './file-gone.js';
import type { DatabaseFault } from './inspect-database.js';
import type { WholeTables } from './whole-tables.js';

/** Which tables are read. */
export interface TableLook {
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
