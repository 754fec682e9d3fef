import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RESERVE_BYTES } from '../../limits.js';
import { isThere, temporaryPath } from './files.js';

/** Name of the file of RESERVE_BYTES in a store's directory that is given up on a full disk for commands that make room. */
const RESERVE_FILE = 'reserve';
/** Free bytes below which a command that makes room may need the reserve: LevelDB's new files, and a compaction of some tables. */
const LOW_BYTES = 4 * RESERVE_BYTES;

/** Room that a store keeps for itself, so that on a full disk it can still delete, erase and prune. */
export class Reserve {
  readonly #directory: string;
  readonly #path: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, RESERVE_FILE);
  }

  /** Makes the file where it is missing and the disk has room. Without it the store works, and cannot make room on a full disk. */
  async keep(): Promise<void> {
    try {
      if (await isThere(this.#path)) return;
      if (freeBytes(this.#directory) < LOW_BYTES + RESERVE_BYTES) return;
      const temporary = temporaryPath(this.#directory);
      // Random, because some file systems give zeros no room.
      await writeFile(temporary, randomBytes(RESERVE_BYTES), { flag: 'wx', mode: 0o600 });
      await rename(temporary, this.#path);
    } catch {
      // The next open tries again, and removes what is left of this.
    }
  }

  /** Gives the room up when the disk has little. At once: a command is decided in the turn in which it is called. */
  giveUpWhenLow(): void {
    try {
      if (freeBytes(this.#directory) < LOW_BYTES) rmSync(this.#path, { force: true });
    } catch {
      // Then the command meets the full disk, and says so.
    }
  }
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
