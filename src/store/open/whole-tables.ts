import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_TABLE_TRUST_MS } from '../../limits.js';
import { readRegularFile, replaceHint } from '../files/files.js';
import type { DatabaseFile } from './database-files.js';
import { bootIdentity } from './lock.js';

/** Remembers which tables were found whole. Deleting it only makes the next open reread them. */
export const WHOLE_TABLES_FILE = 'whole-tables.json';
/** Younger files may change without a new change time: FAT's clock is the coarsest, two seconds. */
const COARSEST_CLOCK_MS = 2_000;
/** Limit on the file: a table of some MiB takes a hundred bytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A table's version when it was read, and when, in milliseconds of Unix time. */
type Reading = readonly [version: string, readAt: number];

/**
 * Tables that a recent open read and found whole, so that the next one can skip them: LevelDB never
 * changes a table once written. Only a hint. Reread are tables that changed in any way that the
 * file system saw, and all tables after MAX_TABLE_TRUST_MS, because disks change bytes unseen;
 * after a writer that did not close the store; and where Linux reports a reboot since, because what
 * was read may not have come from the disk.
 */
export class WholeTables {
  readonly #path: string;
  /** Boot of the machine; null where the system does not say. */
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
   * Reads what the store in `directory` remembers: nothing when it was not closed, or if unknown.
   * @param now milliseconds of Unix time, by the clock of the file system
   */
  static async read(directory: string, wasClosed: boolean, now = Date.now()): Promise<WholeTables> {
    const path = join(directory, WHOLE_TABLES_FILE);
    const boot = await bootIdentity().catch(() => null);
    return new WholeTables(path, boot, wasClosed ? await readings(path, boot) : new Map(), now);
  }

  /** Whether a table was found whole lately and is unchanged since. */
  has(name: string, { version }: DatabaseFile): boolean {
    const reading = this.#readings.get(name);
    if (reading === undefined || reading[0] !== version) return false;
    const age = this.#now - reading[1];
    if (age < 0 || age > MAX_TABLE_TRUST_MS) return false;
    this.#used.set(name, reading);
    return true;
  }

  /** Records that a table was just read, and is whole. */
  add(name: string, { version, changedAt }: DatabaseFile): void {
    // A change at the same moment would leave the change time equal.
    if (this.#now - changedAt < COARSEST_CLOCK_MS) return;
    const reading: Reading = [version, this.#now];
    this.#readings.set(name, reading);
    this.#used.set(name, reading);
    this.#isChanged = true;
  }

  /** Saves what this open used or read, if new and writable. The store's lock must be held. */
  async write(): Promise<void> {
    if (!this.#isChanged) return;
    const remembered = { boot: this.#boot, tables: Object.fromEntries(this.#used) };
    // Not synced: power loss leaves invalid JSON, and costs nothing.
    await replaceHint(this.#path, `${JSON.stringify(remembered)}\n`).catch(doWithout);
  }

  /** Makes the next open reread every table, if the file can be removed. */
  static async forget(directory: string): Promise<void> {
    await rm(join(directory, WHOLE_TABLES_FILE), { force: true }).catch(doWithout);
  }
}

function doWithout(): void {
  // The next open rereads the tables.
}

async function readings(path: string, boot: string | null): Promise<Map<string, Reading>> {
  try {
    const bytes = await readRegularFile(path, { limitBytes: MAX_FILE_BYTES });
    if (bytes === undefined || bytes.length > MAX_FILE_BYTES) return new Map();
    const remembered = Object(JSON.parse(new TextDecoder().decode(bytes))) as Record<string, unknown>;
    if (remembered['boot'] !== boot) return new Map();
    const tables = Object.entries(Object(remembered['tables']) as Record<string, unknown>);
    return new Map(tables.filter((entry): entry is [string, Reading] => isReading(entry[1])));
  } catch {
    return new Map();
  }
}

function isReading(value: unknown): value is Reading {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1]);
}
