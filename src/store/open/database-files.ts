import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_CURRENT_BYTES } from '../../limits.js';
import { LevelDamage } from '../../log/leveldb/coding.js';
import {
  type DamagedStretch,
  type Manifest,
  parseManifest,
  parseRecordFile,
  parseWriteBatch,
  type WriteBatch,
} from '../../log/leveldb/log-files.js';
import type { DatabaseFile as OpenFile } from '../../log/leveldb/table.js';
import { ioFailure, isExhaustion, systemCode } from '../files/files.js';

/*
 * CURRENT, the MANIFEST and the write-ahead logs of a database. LevelDB silently drops what it
 * cannot read of them, so they are read here before it opens: once, for the damage report, for
 * readers that do without LevelDB, and for the check that LevelDB read its log.
 */

/** Files that LevelDB opens or writes by name, and its lock. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp))$/;
const LOG_FILE = /^(\d+)\.log$/;
const EVERY_LOG = { logNumber: 0, previousLogNumber: 0 };

/** Result of `lstat` on a file of the database. */
export interface DatabaseFile {
  /** False for what LevelDB must not open: directories, pipes, and links, which it would follow. */
  readonly isFile: boolean;
  /** Whether it has another hard link, so that overwriting it may harm others. */
  readonly isShared: boolean;
  readonly size: number;
  /** Last change of status (ctime) in milliseconds of Unix time, which cannot be set. */
  readonly changedAt: number;
  /** Different after every change that the file system saw. */
  readonly version: string;
}

/** A fault in the database's files that LevelDB would ignore or refuse. */
export interface DatabaseFault {
  /** Name in the directory of the log. */
  readonly file: string;
  /** What is wrong with it, and which events are lost. */
  readonly message: string;
}

/** A parsed write-ahead log. */
export interface WriteAheadLog {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Of the file, before it was read. */
  readonly version: string;
  readonly records: ReturnType<typeof parseRecordFile>['records'];
  /** Seq of the last event in a whole batch; undefined when there is none. */
  readonly lastEvent: number | undefined;
  readonly batches: readonly PlacedBatch[];
  /** Offset of the first record that is not a batch; reading stops there. */
  readonly brokenAt: number | undefined;
  /** Whether it ends in an unfinished write. */
  readonly isTorn: boolean;
}

interface PlacedBatch extends WriteBatch {
  readonly file: string;
  /** Damage that ends where the batch begins. */
  readonly after: DamagedStretch | undefined;
}

/** The database as one MANIFEST describes it. */
export interface DatabaseFiles {
  readonly files: ReadonlyMap<string, DatabaseFile>;
  readonly manifest: Manifest;
  readonly manifestName: string;
  /** The write-ahead logs that LevelDB would replay, in its order. */
  readonly logs: readonly WriteAheadLog[];
  /** Faults of the write-ahead logs. */
  readonly faults: readonly DatabaseFault[];
  /** Differs from `databaseState` once the database has other files. */
  readonly state: string;
}

/** Damage that leaves nothing else to read. */
export class DatabaseDamage extends LevelDamage {
  readonly file: string;

  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }
}

/**
 * Reads CURRENT, the MANIFEST and the write-ahead logs of the database at `location`. Changes
 * nothing. Throws DatabaseDamage when CURRENT or the MANIFEST cannot be read; IO_FAILED also when a
 * file was removed meanwhile.
 */
export function readDatabaseFiles(location: string): DatabaseFiles {
  const state = databaseState(location);
  const files = listedFiles(location);
  for (const [name, { isFile }] of files) {
    if (!isFile)
      throw lost(name, 'is not a file, so that the log cannot be opened; no event need be lost but those in it');
  }
  const name = manifestName(location);
  const manifest = readManifest(location, name);
  const logs = readLogs(location, files, manifest);
  return { files, manifest, manifestName: name, logs, faults: logFaults(logs, manifest), state };
}

function listedFiles(location: string): ReadonlyMap<string, DatabaseFile> {
  try {
    return databaseFiles(location);
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new DatabaseDamage('.', 'the directory of the log is missing, and every event with it');
    if (systemCode(error) === 'ENOTDIR') throw new DatabaseDamage('.', 'a file is in the place of the log');
    throw ioFailure(`inspect the log ${location}`, error);
  }
}

/** Returns those of `names` that are existing database files. Throws Node's errors. */
export function databaseFiles(
  location: string,
  names: readonly string[] = readdirSync(location),
): ReadonlyMap<string, DatabaseFile> {
  const files = new Map<string, DatabaseFile>();
  for (const name of names) {
    // Synchronous: another thread costs three times as much as the call.
    const options = { bigint: true, throwIfNoEntry: false } as const;
    const found = DATABASE_FILE.test(name) ? lstatSync(join(location, name), options) : undefined;
    if (found === undefined) continue;
    const { ino, nlink, size, mtimeNs, ctimeNs, ctimeMs } = found;
    const version = [ino, size, mtimeNs, ctimeNs].join(' ');
    const [isFile, isShared] = [found.isFile(), nlink > 1n];
    files.set(name, { isFile, isShared, size: Number(size), changedAt: Number(ctimeMs), version });
  }
  return files;
}

/** Returns the MANIFEST in use and its size, which every change to the set of files alters. */
export function databaseState(location: string): string {
  try {
    const bytes = readFile(location, 'CURRENT', MAX_CURRENT_BYTES) ?? new Uint8Array();
    const name = Buffer.from(bytes).toString('latin1').trim();
    return `${name} ${statSync(join(location, name)).size}`;
  } catch (error) {
    if (isExhaustion(error)) throw error;
    return systemCode(error instanceof StoreError ? error.cause : error);
  }
}

/**
 * Opens a file of the database; it stays readable after its name is removed. Throws the errors of
 * `open`, and DatabaseDamage when it is not a file.
 */
export function openDatabaseFile(location: string, name: string): OpenFile {
  const descriptor = openDescriptor(location, name);
  const found = fstatSync(descriptor);
  if (!found.isFile()) {
    closeSync(descriptor);
    throw new DatabaseDamage(name, `${name} is not a file`);
  }
  let isOpen = true;
  return {
    name,
    sizeBytes: found.size,
    read: (offset, length) => readFrom(descriptor, offset, length),
    close: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

/** Returns a read-only descriptor, opened as by `openDatabaseFile`. */
export function openDescriptor(location: string, name: string): number {
  try {
    // Never block on a pipe or follow a link.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
    return openSync(join(location, name), flags);
  } catch (error) {
    throw systemCode(error) === 'ELOOP' ? new DatabaseDamage(name, `${name} is not a file`) : error;
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

/** Returns the first `limitBytes` of a file; undefined when missing. */
function readFile(location: string, name: string, limitBytes = Number.POSITIVE_INFINITY): Uint8Array | undefined {
  try {
    const file = openDatabaseFile(location, name);
    try {
      return file.read(0, Math.min(file.sizeBytes, limitBytes));
    } finally {
      file.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error instanceof LevelDamage ? error : ioFailure(`read ${join(location, name)}`, error);
  }
}

function readManifest(location: string, name: string): Manifest {
  const { records, damaged, tornAt } = parseRecordFile(readNeeded(location, name));
  // A crash may leave an unfinished edit at the end; LevelDB refuses any other damage too.
  const [stretch] = damaged;
  const manifest = stretch === undefined ? parseManifest(records.map(({ bytes }) => bytes)) : undefined;
  if (manifest !== undefined) return manifest;
  const end = tornAt === undefined ? 'it has no whole edit' : `it ends at byte ${tornAt}`;
  const why = stretch === undefined ? end : `bytes ${stretch.offset} to ${stretch.end} are damaged`;
  throw lost(name, `is damaged, so that no event can be found; none need be lost: ${why}`);
}

function manifestName(location: string): string {
  // One byte over the limit, so that a longer file is refused.
  const bytes = readNeeded(location, 'CURRENT', MAX_CURRENT_BYTES + 1);
  const name = /^(MANIFEST-\d+)\n$/.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  if (name !== undefined) return name;
  throw lost('CURRENT', 'does not name a MANIFEST, so that no event can be found; none need be lost');
}

function readNeeded(location: string, name: string, limitBytes?: number): Uint8Array {
  const bytes = readFile(location, name, limitBytes);
  if (bytes !== undefined) return bytes;
  throw lost(name, 'is missing, so that no event can be found; none need be lost');
}

function lost(name: string, why: string): DatabaseDamage {
  return new DatabaseDamage(name, `${name} ${why}`);
}

/**
 * Returns the write-ahead logs among `files` in LevelDB's order: those that it would replay by
 * `manifest`, or all without one.
 */
export function readLogs(
  location: string,
  files: ReadonlyMap<string, DatabaseFile>,
  { logNumber, previousLogNumber }: Pick<Manifest, 'logNumber' | 'previousLogNumber'> = EVERY_LOG,
): WriteAheadLog[] {
  return [...files]
    .map(([name, { version }]) => ({ name, version, number: Number(LOG_FILE.exec(name)?.[1] ?? Number.NaN) }))
    .filter(({ number }) => number >= logNumber || number === previousLogNumber)
    .sort((a, b) => a.number - b.number)
    .map(({ name, version }) => {
      const bytes = readFile(location, name);
      if (bytes === undefined) throw fileGone(location, name);
      return { name, version, bytes, ...parseLog(name, bytes) };
    });
}

function parseLog(file: string, bytes: Uint8Array): Omit<WriteAheadLog, 'name' | 'version' | 'bytes'> {
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  const batches: PlacedBatch[] = [];
  let brokenAt: number | undefined;
  for (const { offset, bytes: record } of records) {
    const batch = parseWriteBatch(record);
    if (batch === undefined) {
      brokenAt = offset;
      break;
    }
    batches.push({ ...batch, file, after: damaged.find(({ end }) => end === offset) });
  }
  const lastEvent = batches.findLast(({ events }) => events !== undefined)?.events?.last;
  return { records, batches, brokenAt, lastEvent, isTorn: brokenAt === undefined && tornAt !== undefined };
}

/** Returns the error for a file that was removed during the read: a retry may succeed. */
export function fileGone(location: string, name: string): StoreError {
  const path = join(location, name);
  return new StoreError('IO_FAILED', `cannot read ${path}: it was removed meanwhile`, { data: { path } });
}

/**
 * Returns the faults of the logs that LevelDB would replay. Each batch was synced before the next
 * began and continues its sequence numbers, so damage before a whole batch, or a gap in the
 * numbers, is not from a crash.
 */
function logFaults(logs: readonly WriteAheadLog[], { logNumber, lastSequence }: Manifest): DatabaseFault[] {
  // LevelDB syncs a log before the MANIFEST names it, and removes it after the next is named.
  const current = `${String(logNumber).padStart(6, '0')}.log`;
  if (logNumber !== 0 && !logs.some(({ name }) => name === current)) {
    const message = `the write-ahead log ${current} is missing, or the MANIFEST lost its end: the last events are lost`;
    return [{ file: current, message }];
  }
  const broken = logs.flatMap(({ name: file, brokenAt }) => {
    const message = `${file} is damaged at byte ${brokenAt}: the bytes there are not a batch`;
    return brokenAt === undefined ? [] : [{ file, message }];
  });
  const batches = logs.flatMap((log) => log.batches);
  const faults = [...broken, ...gaps(batches, lastSequence)];
  const end = batches.at(-1);
  if (end !== undefined && end.sequence + end.count - 1 < lastSequence)
    faults.push({ file: end.file, message: `the write-ahead log ${end.file} lost its end: ${lostAfter(end)}` });
  // Only the last log may be torn: each was finished before the next was begun.
  const torn = logs.slice(0, -1).find(({ isTorn }) => isTorn);
  if (torn !== undefined && faults.length === 0)
    faults.push({ file: torn.name, message: `the write-ahead log ${torn.name} is damaged at its end` });
  return faults;
}

/** Returns a fault for each sequence gap or damaged stretch, with the events lost there. */
function gaps(batches: readonly PlacedBatch[], lastSequence: number): DatabaseFault[] {
  const faults: DatabaseFault[] = [];
  let next: number | undefined;
  let lastEvent: number | undefined;
  for (const { sequence, count, file, after, events } of batches) {
    // The first may precede the MANIFEST's last edit.
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
