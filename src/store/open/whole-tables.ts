import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_TABLE_TRUST_MS } from '../../limits.js';
import { readRegularFile, replaceHint } from '../files/files.js';
import type { DatabaseFile } from './database-files.js';
import { bootIdentity } from './lock.js';

/** Name of the file that says which tables were found whole. It may be deleted: then they are read again. */
export const WHOLE_TABLES_FILE = 'whole-tables.json';
/** Milliseconds for which a file may change without a new time of change: what is younger may change unseen. Two seconds are those of FAT. */
const COARSEST_CLOCK_MS = 2_000;
/** Bytes of the file: a table of some MiB takes a hundred. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A table as it was when it was read: its version, and when, in milliseconds of Unix time. */
type Reading = readonly [version: string, readAt: number];

/** What the file says. */
interface Remembered {
  /** Of the machine when they were read; null where the system does not say. */
  readonly boot: string | null;
  /** By the names of the tables. */
  readonly tables: Readonly<Record<string, Reading>>;
}

/**
 * The tables of a store that an open lately read and found whole, so that the next one need not: LevelDB never changes a table once it
 * is written. Only a hint. A table that changed in any way that the file system saw is read again. So is every table after MAX_TABLE_TRUST_MS,
 * because a disk changes bytes unseen; after a process that had the store open for writing and did not close it; and where Linux says that the machine was started
 * since, because what was read then may not have come from the disk.
 */
export class WholeTables {
  readonly #path: string;
  readonly #boot: string | null;
  readonly #now: number;
  readonly #readings: Map<string, Reading>;
  readonly #used = new Map<string, Reading>();
  #isChanged = false;

  private constructor(path: string, boot: string | null, readings: Map<string, Reading>, now: number) {
    this.#path = path;
    this.#boot = boot;
    this.#readings = readings;
    this.#now = now;
  }

  /**
   * Resolves with what the store in `directory` remembers: with nothing when it was not closed, or nobody can tell.
   * @param now milliseconds of Unix time, by the clock of the file system
   */
  static async read(directory: string, wasClosed: boolean, now = Date.now()): Promise<WholeTables> {
    const path = join(directory, WHOLE_TABLES_FILE);
    const boot = (await bootIdentity()) ?? null;
    return new WholeTables(path, boot, wasClosed ? await readings(path, boot) : new Map(), now);
  }

  /** Whether a table was read lately, found whole, and not changed since. */
  has(name: string, { version }: DatabaseFile): boolean {
    const reading = this.#readings.get(name);
    if (reading === undefined || reading[0] !== version) return false;
    const age = this.#now - reading[1];
    if (age < 0 || age > MAX_TABLE_TRUST_MS) return false;
    this.#used.set(name, reading);
    return true;
  }

  /** Takes note that a table was read just now, and is whole. */
  add(name: string, { version, changedAt }: DatabaseFile): void {
    // A change in the same moment would give it the same time of change again.
    if (this.#now - changedAt < COARSEST_CLOCK_MS) return;
    const reading: Reading = [version, this.#now];
    this.#readings.set(name, reading);
    this.#used.set(name, reading);
    this.#isChanged = true;
  }

  /** Remembers for the next open what was asked for or read, where anything is new and the file can be written. The store's lock must be held. */
  async write(): Promise<void> {
    if (!this.#isChanged) return;
    const remembered: Remembered = { boot: this.#boot, tables: Object.fromEntries(this.#used) };
    // Not synced: what a loss of power leaves is no JSON, and nothing is lost with it.
    await replaceHint(this.#path, `${JSON.stringify(remembered)}\n`).catch(doWithout);
  }

  /** Has the next open read every table of the store in `directory`, where the file can be removed. */
  static async forget(directory: string): Promise<void> {
    await rm(join(directory, WHOLE_TABLES_FILE), { force: true }).catch(doWithout);
  }
}

function doWithout(): void {
  // The next open reads the tables again.
}

async function readings(path: string, boot: string | null): Promise<Map<string, Reading>> {
  try {
    const bytes = await readRegularFile(path, { limitBytes: MAX_FILE_BYTES });
    if (bytes === undefined || bytes.length > MAX_FILE_BYTES) return new Map();
    const remembered = Object(JSON.parse(new TextDecoder().decode(bytes))) as Partial<Remembered>;
    if (remembered.boot !== boot) return new Map();
    const tables = Object.entries(Object(remembered.tables) as Record<string, unknown>);
    return new Map(tables.filter((entry): entry is [string, Reading] => isReading(entry[1])));
  } catch {
    return new Map();
  }
}

function isReading(value: unknown): value is Reading {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1]);
}
