import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from '../../log/checkpoint.js';
import {
  createDurableFile,
  ioFailure,
  isOwnDirectory,
  makeDurableDirectory,
  syncDirectory,
} from '../files/durable-file.js';
import { readRegularFile } from '../files/regular-file.js';

/** What a key signed last, with its number in the memory. */
export interface Remembered {
  readonly number: number;
  readonly text: string;
  readonly checkpoint: Checkpoint;
}

/** Returns the path of the memory of the private key in the file `keyPath`. */
export function memoryPathOf(keyPath: string): string {
  return `${keyPath}.signed`;
}

/**
 * What a private key in a file has signed, kept beside it: the folder `FILE.signed`, one file for each checkpoint, the last
 * two of them. Several processes may use one key at once, without a lock that a killed one would leave behind: number n+1 is
 * made by one of them only, and whoever comes second looks again at what was signed meanwhile.
 */
export class SigningMemory {
  readonly #directory: string;

  constructor(keyPath: string) {
    this.#directory = memoryPathOf(keyPath);
  }

  /**
   * Resolves with the newest checkpoint that the key signed, or was about to sign; undefined before the first.
   * @throws {StoreError} CHECKPOINT_INVALID when the file of it is damaged, STORE_NOT_WRITABLE, IO_FAILED
   */
  async last(): Promise<Remembered | undefined> {
    for (;;) {
      const number = (await this.#numbers()).reduce((most, each) => Math.max(most, each), 0);
      if (number === 0) return undefined;
      const text = await this.#read(number);
      if (text !== undefined) return { number, text, checkpoint: this.#parse(number, text) };
      // Others signed meanwhile, and took it away as too old.
    }
  }

  /**
   * Remembers `checkpoint` as the one after `last`, durable on return. Resolves with false when another was remembered since.
   * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
   */
  async advance(last: Remembered | undefined, checkpoint: Checkpoint): Promise<boolean> {
    const number = (last?.number ?? 0) + 1;
    await makeDurableDirectory(dirname(this.#directory), basename(this.#directory));
    const bytes = new TextEncoder().encode(formatCheckpoint(checkpoint));
    if (!(await createDurableFile(this.#path(number), bytes))) return false;
    // The number was free, also when others used it and took it away meanwhile. But then newer ones are there, and `last` went
    // before it: the oldest goes first, and only when two newer ones are there.
    const numbers = await this.#numbers();
    const isLastThere = last === undefined || (await this.#read(last.number)) === last.text;
    if (!isLastThere || numbers.some((each) => each > number)) {
      await this.#forget(number);
      return false;
    }
    // A crash here leaves old files, which the next one takes away.
    const old = numbers.filter((each) => each < number - 1).sort((a, b) => a - b);
    for (const each of old) await this.#forget(each);
    return true;
  }

  /** Makes durable what `last` gave. @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED */
  async sync(): Promise<void> {
    await syncDirectory(this.#directory).catch((error: unknown) => {
      throw ioFailure(`sync ${this.#directory}`, error);
    });
  }

  #path(number: number): string {
    return join(this.#directory, `${number}`);
  }

  async #numbers(): Promise<number[]> {
    try {
      if (!(await isOwnDirectory(this.#directory))) return [];
      const names = await readdir(this.#directory);
      return names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number);
    } catch (error) {
      throw ioFailure(`read ${this.#directory}`, error);
    }
  }

  async #read(number: number): Promise<string | undefined> {
    const bytes = await readRegularFile(this.#path(number), { limitBytes: MAX_NOTE_BYTES });
    return bytes && new TextDecoder().decode(bytes);
  }

  #parse(number: number, text: string): Checkpoint {
    try {
      return parseCheckpoint(text);
    } catch (cause) {
      const path = this.#path(number);
      throw new StoreError(
        'CHECKPOINT_INVALID',
        `cannot tell what the key signed last: ${path} is no checkpoint. Nothing is signed; make a new key`,
        { cause, data: { path } },
      );
    }
  }

  async #forget(number: number): Promise<void> {
    await rm(this.#path(number), { force: true }).catch((error: unknown) => {
      throw ioFailure(`remove ${this.#path(number)}`, error);
    });
  }
}
