import { ByteReader } from './byte-reader.js';
import { type EventRange, eventsBetween } from './event-range.js';

/** A table that the database is made of. */
export interface Table {
  /** 0 to 6: tables of level 0 may have keys in common, those of another level have none. */
  readonly level: number;
  /** Size of its file in bytes. */
  readonly size: number;
  /** Its first and last key. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
  /** Seqs that events in it can have; undefined when it has none. */
  readonly events: EventRange | undefined;
}

/** What the edits of a MANIFEST come to: the files that make up the database. */
export interface Manifest {
  /** The oldest write-ahead log that is not in the tables yet; 0 before there is any. */
  readonly logNumber: number;
  readonly previousLogNumber: number;
  /** LevelDB's own count of written entries, when the last edit was made. */
  readonly lastSequence: number;
  /** Each table by its number. */
  readonly tables: ReadonlyMap<number, Table>;
}

/** The kinds of fields of an edit (db/version_edit.cc). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE_NUMBER = 3;
const LAST_SEQUENCE = 4;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;
const PREVIOUS_LOG_NUMBER = 9;
/** LevelDB's number and kind of an entry, behind its key (db/dbformat.h). */
const TAG_BYTES = 8;

/** Returns what the edits come to, or undefined when one of them is none. */
export function parseManifest(edits: Iterable<Uint8Array>): Manifest | undefined {
  const fields = new Map<number, number>();
  const tables = new Map<number, Table>();
  for (const edit of edits) {
    const reader = new ByteReader(edit);
    while (!reader.isAtEnd) if (!readField(reader, fields, tables)) return undefined;
  }
  const logNumber = fields.get(LOG_NUMBER);
  const lastSequence = fields.get(LAST_SEQUENCE);
  if (logNumber === undefined || lastSequence === undefined || !fields.has(NEXT_FILE_NUMBER)) return undefined;
  return { logNumber, previousLogNumber: fields.get(PREVIOUS_LOG_NUMBER) ?? 0, lastSequence, tables };
}

/** Reads one field; false when it is none. */
function readField(reader: ByteReader, fields: Map<number, number>, tables: Map<number, Table>): boolean {
  const tag = reader.number();
  switch (tag) {
    case COMPARATOR:
      return reader.string() !== undefined;
    case LOG_NUMBER:
    case NEXT_FILE_NUMBER:
    case LAST_SEQUENCE:
    case PREVIOUS_LOG_NUMBER: {
      const value = reader.number();
      if (value !== undefined) fields.set(tag, value);
      return value !== undefined;
    }
    case COMPACT_POINTER:
      return reader.number() !== undefined && reader.string() !== undefined;
    case DELETED_FILE: {
      const number = reader.number() === undefined ? undefined : reader.number();
      if (number !== undefined) tables.delete(number);
      return number !== undefined;
    }
    case NEW_FILE:
      return readNewFile(reader, tables);
    default:
      return false;
  }
}

function readNewFile(reader: ByteReader, tables: Map<number, Table>): boolean {
  const level = reader.number();
  const number = reader.number();
  const size = reader.number();
  const smallest = reader.string();
  const largest = reader.string();
  if (level === undefined || number === undefined || size === undefined) return false;
  if (smallest === undefined || largest === undefined) return false;
  const [low, high] = [userKey(smallest), userKey(largest)];
  tables.set(number, { level, size, smallest: low, largest: high, events: eventsBetween(low, high) });
  return true;
}

/** A key as LevelDB's caller knows it: without LevelDB's own number and kind of the entry. */
function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, Math.max(0, key.length - TAG_BYTES));
}
