import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_RESERVE_BYTES, RESERVE_BYTES } from '../../limits.js';
import { temporaryPath } from './files.js';

/** File in a store's directory that is released on a full disk for commands that make room. */
export const RESERVE_FILE = 'reserve';
/** Multiples of the reserve: free space to create it, and below which it is released. */
const [PLENTY, LITTLE] = [3, 2];
/** File system overhead beside the bytes of a file. */
const BLOCK_BYTES = 64 * 1024;

/**
 * Space that a store reserves so that it can delete, erase and prune on a full disk. An open for
 * that writes LevelDB's small files, and sometimes compacts the newest tables: so the reserve grows
 * with the log, from RESERVE_BYTES to MAX_RESERVE_BYTES.
 */
export class Reserve {
  readonly #directory: string;
  readonly #path: string;
  #wasGivenUp = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, RESERVE_FILE);
  }

  /**
   * Creates the file where missing or too small, if the disk has room. Without it the store works,
   * but cannot make room on a full disk.
   */
  async keep(): Promise<void> {
    try {
      const wanted = this.#wantedBytes();
      if (sizeOf(this.#path) >= wanted) return;
      // Space just released belongs to the store, not to what else competes for it.
      const free = this.#wasGivenUp ? wanted + BLOCK_BYTES : PLENTY * wanted;
      if (freeBytes(this.#directory) < free) return;
      const temporary = temporaryPath(this.#directory);
      // Random, because some file systems allocate nothing for zeros.
      await writeFile(temporary, randomBytes(wanted), { flag: 'wx', mode: 0o600 });
      await rename(temporary, this.#path);
      this.#wasGivenUp = false;
    } catch {
      // The next open retries, and removes leftovers.
    }
  }

  /** Releases the space when the disk is low. Synchronous, like deciding a command. */
  giveUpWhenLow(): void {
    try {
      const free = freeBytes(this.#directory);
      if (free >= LITTLE * this.#wantedBytes()) return;
      const reserved = sizeOf(this.#path);
      // After a crash LevelDB may have more to write into a table than fits without the reserve.
      if (free + reserved < unwrittenBytes(join(this.#directory, 'log'))) return;
      this.#wasGivenUp ||= reserved > 0;
      rmSync(this.#path, { force: true });
    } catch {
      // The command then reports the full disk.
    }
  }

  /** Powers of two, so that it is rarely recreated. */
  #wantedBytes(): number {
    const bytes = bytesOf(join(this.#directory, 'log'), '.ldb');
    const steps = Math.floor(Math.log2(1 + bytes / RESERVE_BYTES));
    return Math.min(RESERVE_BYTES * 2 ** steps, MAX_RESERVE_BYTES);
  }
}

/** Returns the sum of the sizes of the files in `directory` with this ending. Throws Node's errors. */
function bytesOf(directory: string, ending: string): number {
  const names = readdirSync(directory).filter((name) => name.endsWith(ending));
  return names.reduce((sum, name) => sum + sizeOf(join(directory, name)), 0);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Returns the bytes in `log` that LevelDB has yet to put into a table; 0 when they cannot be read. */
export function unwrittenBytes(log: string): number {
  try {
    return bytesOf(log, '.log');
  } catch {
    // Only a hint: what needs room meets the disk itself.
    return 0;
  }
}

/** Returns the free bytes on the disk of `directory`; MAX_SAFE_INTEGER if unknown. */
export function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}
