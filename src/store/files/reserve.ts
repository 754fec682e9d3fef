import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_RESERVE_BYTES, RESERVE_BYTES } from '../../limits.js';
import { temporaryPath } from './files.js';

/** Name of the file in a store's directory that is given up on a full disk for commands that make room. */
const RESERVE_FILE = 'reserve';
/** Times the size of the reserve that must be free for it to be made, and below which it is given up. */
const [PLENTY, LITTLE] = [3, 2];
/** What the file system may take beside the bytes of a file. */
const BLOCK_BYTES = 64 * 1024;

/**
 * Room that a store keeps for itself, so that on a full disk it can still delete, erase and prune. An open
 * for that writes LevelDB's small files, and at times compacts the newest tables: so the reserve
 * grows with the log, from RESERVE_BYTES to MAX_RESERVE_BYTES.
 */
export class Reserve {
  readonly #directory: string;
  readonly #path: string;
  #wasGivenUp = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, RESERVE_FILE);
  }

  /** Makes the file where it is missing or too small and the disk has room. Without it the store works, but on a full disk it cannot make room. */
  async keep(): Promise<void> {
    try {
      const wanted = this.#wantedBytes();
      const found = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
      if (found >= wanted) return;
      // What was given up just now belongs to the store, whoever else wants it.
      const free = this.#wasGivenUp ? wanted + BLOCK_BYTES : PLENTY * wanted;
      if (this.#freeBytes() < free) return;
      const temporary = temporaryPath(this.#directory);
      // Random, because some file systems give zeros no room.
      await writeFile(temporary, randomBytes(wanted), { flag: 'wx', mode: 0o600 });
      await rename(temporary, this.#path);
      this.#wasGivenUp = false;
    } catch {
      // The next open tries again, and removes what is left of this.
    }
  }

  /** Gives the room up when the disk has little. At once: a command is decided in the turn in which it is called. */
  giveUpWhenLow(): void {
    try {
      const free = this.#freeBytes();
      if (free >= LITTLE * this.#wantedBytes()) return;
      const reserved = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
      // After a crash LevelDB may have more to put into a table than there is room with it.
      if (free + reserved < unwrittenBytes(join(this.#directory, 'log'))) return;
      this.#wasGivenUp ||= reserved > 0;
      rmSync(this.#path, { force: true });
    } catch {
      // Then the command meets the full disk, and says so.
    }
  }

  /** In powers of two, so that it is made again only now and then. */
  #wantedBytes(): number {
    const log = join(this.#directory, 'log');
    const tables = readdirSync(log).filter((name) => name.endsWith('.ldb'));
    const bytes = tables.reduce(
      (sum, name) => sum + (statSync(join(log, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
    const steps = Math.floor(Math.log2(1 + bytes / RESERVE_BYTES));
    return Math.min(RESERVE_BYTES * 2 ** steps, MAX_RESERVE_BYTES);
  }

  #freeBytes(): number {
    return freeBytes(this.#directory);
  }
}

/** Returns the bytes of the write-ahead log of the database in `log`, which LevelDB has yet to put into a table. */
export function unwrittenBytes(log: string): number {
  const names = readdirSync(log).filter((name) => name.endsWith('.log'));
  return names.reduce((sum, name) => sum + (statSync(join(log, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Returns the bytes that are free on the disk of `directory`; any number where the system does not say. */
export function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}
