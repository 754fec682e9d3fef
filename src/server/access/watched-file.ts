import { open } from 'node:fs/promises';
import { StoreError, thrownText } from '../../errors.js';
import { ACCESS_FILE_CHECK_MS, MAX_ACCESS_FILE_BYTES } from '../../limits.js';

/** How a file is read, and to whom a failed reload is reported. */
interface WatchedFileOptions<Value> {
  readonly path: string;
  readonly parse: (bytes: Uint8Array) => Value;
  readonly now: () => number;
  /** Receives why the file was not read again; once for each version of the file. */
  readonly onNotice: (notice: string) => void;
}

/** A file that is read again when it changes. One that became unreadable or invalid leaves the last value. */
export class WatchedFile<Value> {
  readonly #options: WatchedFileOptions<Value>;
  #value: Value;
  #version: string;
  #checkedMs: number;
  #check: Promise<void> | undefined;

  private constructor(options: WatchedFileOptions<Value>, first: { value: Value; version: string }) {
    this.#options = options;
    this.#value = first.value;
    this.#version = first.version;
    this.#checkedMs = options.now();
  }

  /** @throws {StoreError} FILE_NOT_FOUND, IO_FAILED, ACCESS_INVALID when it is too large, or as `parse` */
  static async open<Value>(options: WatchedFileOptions<Value>): Promise<WatchedFile<Value>> {
    const { bytes, version } = await readVersion(options.path);
    return new WatchedFile(options, { value: options.parse(bytes), version });
  }

  /** Returns the value, of a file that was checked at most ACCESS_FILE_CHECK_MS ago. */
  async current(): Promise<Value> {
    const now = this.#options.now();
    // A clock that was set back checks at once.
    if (Math.abs(now - this.#checkedMs) >= ACCESS_FILE_CHECK_MS) {
      this.#checkedMs = now;
      this.#check ??= this.#reload().finally(() => {
        this.#check = undefined;
      });
    }
    await this.#check;
    return this.#value;
  }

  async #reload(): Promise<void> {
    const { path, parse, onNotice } = this.#options;
    let version = 'unreadable';
    try {
      const read = await readVersion(path, this.#version);
      if (read.version === this.#version) return;
      version = read.version;
      this.#value = parse(read.bytes);
    } catch (error) {
      if (version === this.#version) return;
      const why = thrownText(error);
      onNotice(`${path} changed but is not used, what it had before still is: ${why}`);
    }
    this.#version = version;
  }
}

interface FileVersion {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/** Reads a file unless its version is `known`. The version is taken first: a change during the read is a later one. */
async function readVersion(path: string, known?: string): Promise<FileVersion> {
  try {
    await using file = await open(path, 'r');
    const { ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
    const version = [ino, size, mtimeNs, ctimeNs].join(' ');
    if (version === known) return { bytes: new Uint8Array(), version };
    if (size > MAX_ACCESS_FILE_BYTES) {
      throw new StoreError('ACCESS_INVALID', `${path} has more than ${MAX_ACCESS_FILE_BYTES} bytes`);
    }
    return { bytes: await file.readFile(), version };
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new StoreError(isMissing ? 'FILE_NOT_FOUND' : 'IO_FAILED', `cannot read ${path}`, { cause: error });
  }
}
