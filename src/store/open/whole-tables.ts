import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_TABLE_TRUST_MS } from '../../limits.js';
import { isFileOrMissing, readRegularFile } from '../files/regular-file.js';
import type { DatabaseFile } from './database-files.js';

/** Name of the file that says which tables were found whole. It may be deleted: then they are read again. */
export const WHOLE_TABLES_FILE = 'whole-tables.json';
/** Milliseconds for which a file may change without a new time of change: what is younger may change unseen. Two seconds are those of FAT. */
const COARSEST_CLOCK_MS = 2_000;

/** A table as it was when it was read: its version, and the time in milliseconds of Unix time. */
type Look = readonly [version: string, readAt: number];

/**
 * The tables of a store that an open lately read and found whole, so that the next one need not: LevelDB never changes a table once it
 * is written. Only a hint. A table that changed in any way that the file system saw is read again, and so is every table after
 * MAX_TABLE_TRUST_MS, because a disk changes bytes unseen, and after a crash.
 */
export class WholeTables {
  readonly #path: string;
  readonly #now: number;
  readonly #before: ReadonlyMap<string, Look>;
  readonly #looks = new Map<string, Look>();
  #isChanged = false;

  private constructor(path: string, before: ReadonlyMap<string, Look>, now: number) {
    this.#path = path;
    this.#before = before;
    this.#now = now;
  }

  /**
   * Resolves with what the store in `directory` remembers: with nothing when it was not closed, or nobody can tell.
   * @param now milliseconds of Unix time, by the clock of the file system
   */
  static async read(directory: string, wasClosed: boolean, now = Date.now()): Promise<WholeTables> {
    const path = join(directory, WHOLE_TABLES_FILE);
    return new WholeTables(path, wasClosed ? await readLooks(path) : new Map(), now);
  }

  /** Whether a table was read lately, found whole, and not changed since. */
  has(name: string, { version }: DatabaseFile): boolean {
    const look = this.#before.get(name);
    if (look === undefined || look[0] !== version) return false;
    const age = this.#now - look[1];
    if (age < 0 || age > MAX_TABLE_TRUST_MS) return false;
    this.#looks.set(name, look);
    return true;
  }

  /** Takes note that a table was read just now, and is whole. */
  add(name: string, { version, changedAt }: DatabaseFile): void {
    // A change in the same moment would give it the same time of change again.
    if (this.#now - changedAt < COARSEST_CLOCK_MS) return;
    this.#looks.set(name, [version, this.#now]);
    this.#isChanged = true;
  }

  /** Remembers it for the next open, where anything is new and the file can be written. The store's lock must be held. */
  async write(): Promise<void> {
    if (!this.#isChanged) return;
    // What a crash cuts short is no JSON, and nothing is lost with it.
    const text = `${JSON.stringify(Object.fromEntries(this.#looks))}\n`;
    await writeUnlessSpecial(this.#path, text).catch(doWithout);
  }
}

async function writeUnlessSpecial(path: string, text: string): Promise<void> {
  // A pipe would be waited for.
  if (await isFileOrMissing(path)) await writeFile(path, text, { mode: 0o600 });
}

function doWithout(): void {
  // The next open reads the tables again.
}

async function readLooks(path: string): Promise<ReadonlyMap<string, Look>> {
  try {
    const bytes = await readRegularFile(path);
    const looks = Object(JSON.parse(new TextDecoder().decode(bytes))) as Record<string, unknown>;
    return new Map(Object.entries(looks).filter((entry): entry is [string, Look] => isLook(entry[1])));
  } catch {
    return new Map();
  }
}

function isLook(value: unknown): value is Look {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1]);
}
