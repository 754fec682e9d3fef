import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StoreError } from '../../errors.js';

/** How the names of files begin that a crash may leave behind. */
const TEMPORARY_PREFIX = '.tmp-';

/** The bytes of a file: at once, or in pieces, each asked for when the one before is written. */
type FileBytes = Uint8Array | Iterable<Uint8Array>;

/**
 * Replaces the file at `path` by `bytes`, durable on return: a reader sees the old bytes or the new, after a crash too.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function writeDurableFile(path: string, bytes: FileBytes): Promise<void> {
  try {
    // A crash before the rename leaves the old file and one that nobody reads; after it, the new one.
    await withTemporaryFile(path, bytes, (temporary) => rename(temporary, path));
    await syncDirectory(dirname(path));
  } catch (error) {
    throw ioFailure(`write ${path}`, error);
  }
}

/**
 * Makes the file `path` of `bytes`, whole and durable on return. Resolves with false, and changes nothing, when one is
 * there: of two processes that make the same file, one succeeds.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function createDurableFile(path: string, bytes: FileBytes): Promise<boolean> {
  try {
    // A crash before the link leaves a file that nobody reads; after it, a second name of the new one.
    await withTemporaryFile(path, bytes, (temporary) => link(temporary, path));
    await syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw ioFailure(`write ${path}`, error);
  }
}

/**
 * Replaces what is at `path` by a file with `text`; a link there is replaced, not followed. A loss
 * of power may leave the file without its bytes: only for what a store can do without. Fails as
 * Node does.
 */
export async function replaceHint(path: string, text: string): Promise<void> {
  const temporary = temporaryPath(dirname(path));
  try {
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600 });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Gives `bytes` in a synced file beside `path` to `name`, and removes what name it then still has. */
async function withTemporaryFile(
  path: string,
  bytes: FileBytes,
  name: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryPath(dirname(path));
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await writeFile(file, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await name(temporary);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {
      throw ioFailure(`write ${path}, nor remove what is left of it, ${temporary}`, error);
    });
    throw error;
  }
  await rm(temporary, { force: true }).catch((error: unknown) => {
    throw ioFailure(`remove ${temporary}, another name of ${path}`, error);
  });
}

/** Returns a new path in `directory` for what a crash may leave behind; `removeTemporaryFiles` knows it again. */
export function temporaryPath(directory: string): string {
  // Not made from the file's own name, which may be as long as a name can be.
  return join(directory, `${TEMPORARY_PREFIX}${randomBytes(12).toString('hex')}`);
}

/**
 * Makes the directory `root`, those above it and `below` it (a path with slashes) where they are missing; their
 * names are durable on return. Down to `root` they may be links of the user, to another disk; each
 * below it must be a directory, for files in it are written and removed.
 * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE; IO_FAILED, also when one below is something
 *   else
 */
export async function makeDurableDirectory(root: string, below = ''): Promise<void> {
  const path = join(root, below);
  try {
    let at = root;
    for (const name of below.split('/').filter((each) => each !== '')) {
      at = join(at, name);
      await isOwnDirectory(at);
    }
    const whole = resolve(path);
    const first = await mkdir(whole, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    // Each new name is in the directory above it.
    for (let made = whole; made !== dirname(first); made = dirname(made)) await syncDirectory(dirname(made));
  } catch (error) {
    throw ioFailure(`make the directory ${path}`, error);
  }
}

/**
 * Resolves with whether a directory is at `path`, false when nothing is there.
 * @throws {StoreError} IO_FAILED when it is something else, also a link to a directory: what that
 *   leads to may be somebody else's, who would lose files; STORE_NOT_WRITABLE
 */
export async function isOwnDirectory(path: string): Promise<boolean> {
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return true;
    const what = found.isSymbolicLink()
      ? 'a link; mount another disk there, or link the whole directory above it'
      : 'a file';
    throw new StoreError('IO_FAILED', `cannot use ${path}: expected a directory, found ${what}`, { data: { path } });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw ioFailure(`look at ${path}`, error);
  }
}

/**
 * Removes what is at `path`, durable on return; nothing happens when nothing is there.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
    await syncDirectory(dirname(path));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw ioFailure(`remove ${path}`, error);
  }
}

/** Copies of the log that version 0.1 opened before the log itself: a crash left them. */
const OLD_REHEARSAL_PREFIX = 'log.rehearsal';

/** Removes what is at temporary paths in `directory`, which a crash left. */
export async function removeTemporaryFiles(directory: string): Promise<void> {
  try {
    const left = (await readdir(directory)).filter(
      (name) => name.startsWith(TEMPORARY_PREFIX) || name.startsWith(OLD_REHEARSAL_PREFIX),
    );
    for (const name of left) await rm(join(directory, name), { recursive: true, force: true });
  } catch (error) {
    throw ioFailure(`tidy ${directory}`, error);
  }
}

/** Makes the bytes of a file durable. */
async function syncFile(path: string): Promise<void> {
  const file = await open(path, constants.O_RDWR);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the files in a directory durable, and their names. */
export async function syncFiles(path: string): Promise<void> {
  for (const name of await readdir(path)) await syncFile(join(path, name));
  await syncDirectory(path);
}

/** Makes the names in a directory durable, where the system can (Windows cannot). */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Resolves with the names in a directory; undefined for the codes in `missing`.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function namesIn(
  directory: string,
  missing: readonly string[] = ['ENOENT'],
): Promise<string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (missing.includes(systemCode(error))) return undefined;
    throw ioFailure(`read ${directory}`, error);
  }
}

/** Returns a failed file operation as the error that a caller can act on; a StoreError is returned as it is. */
export function ioFailure(action: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = systemCode(error);
  const options = { cause: error, data: { systemCode: code } };
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new StoreError('DISK_FULL', `cannot ${action}: no space is left (${code})`, options);
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StoreError('STORE_NOT_WRITABLE', `cannot ${action}: not permitted (${code})`, options);
  }
  return new StoreError(
    'IO_FAILED',
    `cannot ${action}: ${error instanceof Error ? error.message : String(error)}`,
    options,
  );
}

/** The system's code of a failed operation, as ENOENT; empty when the error has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Whether something is at `path`. A link counts as what it leads to: one that leads nowhere is nothing, and one that leads to itself is
 * there, as whoever opens it is told.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    if (code === 'ELOOP') return true;
    throw ioFailure(`look at ${path}`, error);
  }
}

/*
 * How files are opened that somebody else may have replaced. The directory of a store, a backup or
 * a key may be reached through links; a file in it is never one: a link, a pipe, a device or a
 * folder in its place is refused, and never waited for. Writing needs nothing of this: a file is
 * made under a new name and renamed, which replaces a link and leaves what it leads to as it is.
 */

/** Bytes that are asked for at a time of a file whose size is not known. */
const CHUNK_BYTES = 64 * 1024;

/** Thrown when what must be a file is something else. */
export class NotAFile extends StoreError {
  constructor(path: string) {
    super('IO_FAILED', `cannot read ${path}: it is no file`, { data: { path } });
  }
}

interface OpenFileOptions {
  /** `followed` for a path that the user named: then a link to a file is a file. */
  readonly links?: 'refused' | 'followed';
}

interface ReadFileOptions extends OpenFileOptions {
  /** Of a larger file, one byte more than this is read, so that its parser refuses it. */
  readonly limitBytes?: number;
}

// Windows has neither flag: there, what is looked at before opening must do.
const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;
const OWN_FILE = WITHOUT_WAITING | constants.O_NOFOLLOW;

/**
 * Opens the file at `path` for reading.
 * @throws {NotAFile} when it is something else; Node's own error otherwise, as ENOENT
 */
export async function openRegularFile(path: string, { links = 'refused' }: OpenFileOptions = {}): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    const isFollowed = links === 'followed';
    // A device may act on being opened, so this comes first; the same is asked again of what was
    // opened.
    if (!(await (isFollowed ? stat(path) : lstat(path))).isFile()) throw new NotAFile(path);
    file = await open(path, isFollowed ? WITHOUT_WAITING : OWN_FILE);
    if (!(await file.stat()).isFile()) throw new NotAFile(path);
    return file;
  } catch (error) {
    await file?.close();
    throw systemCode(error) === 'ELOOP' ? new NotAFile(path) : error;
  }
}

/**
 * Resolves with the bytes of the file at `path`, or undefined when nothing is there.
 * @throws {NotAFile} when it is something else
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readRegularFile(path: string, options: ReadFileOptions = {}): Promise<Uint8Array | undefined> {
  try {
    await using file = await openRegularFile(path, options);
    return options.limitBytes === undefined ? await file.readFile() : await readAtMost(file, options.limitBytes + 1);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/** As `readRegularFile`, at once. */
export function readRegularFileSync(path: string): Uint8Array | undefined {
  try {
    if (!lstatSync(path).isFile()) throw new NotAFile(path);
    const file = openSync(path, OWN_FILE);
    try {
      if (!fstatSync(file).isFile()) throw new NotAFile(path);
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Resolves with the first `size` bytes of the file at `path`, fewer when it ends before, or
 * undefined when nothing is there. They are asked for at once, where `readFile` asks for half a MiB
 * at a time and in between waits for its turn.
 * @throws {NotAFile} when it is something else
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function readWholeFile(path: string, size: number): Promise<Uint8Array | undefined> {
  try {
    await using file = await openRegularFile(path);
    return await readAtMost(file, size, size);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

/**
 * Resolves with the bytes of `file` from its position on, `limit` at most. It may be a pipe. Fails
 * as Node does.
 */
export async function readAtMost(file: FileHandle, limit: number, chunkBytes = CHUNK_BYTES): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let left = limit;
  while (left > 0) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(left, chunkBytes)));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  const [first, ...others] = chunks;
  return others.length === 0 ? (first ?? new Uint8Array(0)) : new Uint8Array(Buffer.concat(chunks));
}

/** Runs actions one after another, in the order in which they are asked for; one that fails holds up none. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves with what `action` gives, which is called when those before have ended. */
  run<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when every action that was asked for has ended. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
