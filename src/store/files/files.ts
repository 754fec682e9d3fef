import { randomBytes } from 'node:crypto';
import fs, { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { StoreError, thrownText } from '../../errors.js';

/*
 * Unless they say otherwise, functions here throw StoreErrors for failures of the system: DISK_FULL,
 * STORE_NOT_WRITABLE or IO_FAILED.
 */

/** Prefix of files that a crash may leave behind. */
const TEMPORARY_PREFIX = '.tmp-';

/** Contents of a file: whole, or in chunks, each pulled once the previous one is written. */
type FileBytes = Uint8Array | Iterable<Uint8Array>;

/**
 * Replaces a file atomically, durable on return: after a crash too, readers see old or new bytes.
 */
export async function writeDurableFile(path: string, bytes: FileBytes): Promise<void> {
  await writeDurableFiles([{ path, bytes }]);
}

/** A file to write, and what becomes of it. */
interface FileToWrite {
  readonly path: string;
  readonly bytes: FileBytes;
}

/**
 * As `writeDurableFile` for several files of one directory, which share their syncs. Each replaces
 * what is there after those before it: a crash in between leaves the first ones.
 */
export async function writeDurableFiles(files: readonly FileToWrite[]): Promise<void> {
  const paths = files.map(({ path }) => path);
  await inSystem(`write ${paths.join(', ')}`, async () => {
    // A crash before the renames leaves the old files and unused ones.
    const written = files.map(({ path, bytes }) => ({ path, bytes, temporary: temporaryPath(dirname(path)) }));
    try {
      await allSettled(written.map(({ temporary, bytes }) => writeNewFile(temporary, bytes, 0o600)));
      for (const { path, temporary } of written) await rename(temporary, path);
    } catch (error) {
      for (const { path, temporary } of written) await removeLeft(path, temporary, error);
      throw error;
    }
    for (const directory of new Set(paths.map(dirname))) await syncDirectory(directory);
  });
}

/** Resolves when all have ended; throws the first failure. */
async function allSettled(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function removeLeft(path: string, temporary: string, error: unknown): Promise<void> {
  await removeFile(temporary).catch(() => {
    throw ioFailure(`write ${path}, nor remove what is left of it, ${temporary}`, error);
  });
}

/**
 * Creates the file atomically, durable on return. Resolves with false, a no-op, when `path` exists:
 * of two racing processes, one succeeds.
 */
export async function createDurableFile(path: string, bytes: FileBytes): Promise<boolean> {
  const create = async (): Promise<true> => {
    // A crash before the link leaves an unused file; after it, a second name of the new one.
    const temporary = temporaryPath(dirname(path));
    try {
      await writeNewFile(temporary, bytes, 0o600);
      await link(temporary, path);
    } catch (error) {
      await removeLeft(path, temporary, error);
      throw error;
    }
    await removeFile(temporary).catch((error: unknown) => {
      throw ioFailure(`remove ${temporary}, another name of ${path}`, error);
    });
    await syncDirectory(dirname(path));
    return true;
  };
  return (await unless(['EEXIST'], `write ${path}`, create)) ?? false;
}

/**
 * Replaces `path` by a file with `text`; a link there is replaced, not followed. Not durable: power
 * loss may leave an empty file. Only for data that a store can do without. Throws Node's errors.
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

/**
 * Writes `bytes` to a new file at `path`; they are durable on return, the name is not. Without a
 * `FileHandle`, since loads and pushes write thousands: each costs a quarter less. Throws Node's
 * errors, and may leave what it wrote.
 */
export async function writeNewFile(path: string, bytes: FileBytes, mode = 0o666): Promise<void> {
  const file = await onDescriptor.open(path, 'wx', mode);
  try {
    for (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      for (let written = 0; written < chunk.length; ) {
        written += await onDescriptor.write(file, chunk, written);
      }
    }
    await onDescriptor.sync(file);
  } finally {
    // Nothing is left to wait for: a turn of a thread would cost more.
    closeSync(file);
  }
}

const onDescriptor = {
  open: promisify(
    (path: string, flags: string | number, mode: number, done: (error: Error | null, file: number) => void) =>
      fs.open(path, flags, mode, done),
  ),
  write: promisify((file: number, bytes: Uint8Array, from: number, done: (error: Error | null, size: number) => void) =>
    fs.write(file, bytes, from, done),
  ),
  sync: promisify((file: number, done: (error: Error | null) => void) => fs.fsync(file, done)),
};

/** Begins the temporary names of this process. */
const temporaryBy = randomBytes(12).toString('hex');
let temporaries = 0;

/** Returns a new path in `directory` that `removeTemporaryFiles` cleans up after a crash. */
export function temporaryPath(directory: string): string {
  // Not derived from the file's own name, which may already have the maximum length.
  temporaries += 1;
  return join(directory, `${TEMPORARY_PREFIX}${temporaryBy}-${temporaries}`);
}

/** Creates a file in `directory` without a name, which no crash leaves behind. Throws Node's errors. */
export async function unnamedFile(directory: string): Promise<FileHandle> {
  const path = temporaryPath(directory);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

/**
 * Creates `root`, its parents, and `below` it (a path with slashes) where missing; names are
 * durable on return. Directories down to `root` may be links of the user, to another disk; those
 * below must be real (else IO_FAILED), because files in them are written and removed.
 */
export async function makeDurableDirectory(root: string, below = ''): Promise<void> {
  const path = join(root, below);
  await inSystem(`make the directory ${path}`, async () => {
    let at = root;
    for (const name of below.split('/').filter((each) => each !== '')) {
      at = join(at, name);
      await isOwnDirectory(at);
    }
    const whole = resolve(path);
    const first = await mkdir(whole, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    // Each new name is in its parent directory.
    for (let made = whole; made !== dirname(first); made = dirname(made)) await syncDirectory(dirname(made));
  });
}

/**
 * Resolves with whether `path` is a directory; false when nothing is there. Throws IO_FAILED when
 * it is something else, also a link to a directory: foreign files in its target would be lost.
 */
export async function isOwnDirectory(path: string): Promise<boolean> {
  const found = await unless(['ENOENT'], `look at ${path}`, () => lstat(path));
  if (found === undefined || found.isDirectory()) return found !== undefined;
  const what = found.isSymbolicLink()
    ? 'a link; mount another disk there, or link the whole directory above it'
    : 'a file';
  throw new StoreError('IO_FAILED', `cannot use ${path}: expected a directory, found ${what}`, { data: { path } });
}

/** Codes of a file that can have no second name there: another disk, too many names, no such thing. */
export const UNLINKABLE: readonly string[] = ['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP', 'ENOSYS'];

/** Makes the durable file `from` appear at `to` too; bytes durable on return, the name not. Throws Node's errors. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!UNLINKABLE.includes(systemCode(error))) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await syncFile(to);
  }
}

/** Removes what is at `path`, durable on return; a no-op when nothing is there. */
export async function removeDurably(path: string): Promise<void> {
  await unless(['ENOENT'], `remove ${path}`, async () => {
    await rm(path, { recursive: true, force: true });
    await syncDirectory(dirname(path));
  });
}

/** Whether `temporaryPath` made the name: what has it may be removed after a crash. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY_PREFIX);
}

/** Copies of the log that version 0.1 made before opening it; a crash left them. */
const OLD_REHEARSAL_PREFIX = 'log.rehearsal';

/** Removes temporary files in `directory` that a crash left. */
export async function removeTemporaryFiles(directory: string): Promise<void> {
  await inSystem(`tidy ${directory}`, async () => {
    const left = (await readdir(directory)).filter(
      (name) => isTemporaryName(name) || name.startsWith(OLD_REHEARSAL_PREFIX),
    );
    for (const name of left) await rm(join(directory, name), { recursive: true, force: true });
  });
}

/** Makes a file that exists durable. Throws Node's errors, as do the next two. */
export async function syncFile(path: string): Promise<void> {
  const file = await onDescriptor.open(path, constants.O_RDWR, 0);
  try {
    await onDescriptor.sync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the files in a directory, and their names, durable. */
export async function syncFiles(path: string): Promise<void> {
  for (const name of await readdir(path)) await syncFile(join(path, name));
  await syncDirectory(path);
}

/** A sync that runs, and the one after it. */
interface DirectorySync {
  readonly running: Promise<void>;
  next?: Promise<void>;
}

const directorySyncs = new Map<string, DirectorySync>();

/**
 * Makes the names in a directory durable, where the system can (Windows cannot). One sync of a
 * directory runs at a time; who comes meanwhile shares the next one, since that may have missed a name.
 */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const sync = directorySyncs.get(path);
  if (sync === undefined) return startSync(path);
  const start = (): Promise<void> => startSync(path);
  sync.next ??= sync.running.then(start, start);
  return sync.next;
}

function startSync(path: string): Promise<void> {
  const sync: DirectorySync = { running: syncOpenedDirectory(path) };
  directorySyncs.set(path, sync);
  const ended = (): void => {
    if (sync.next === undefined) directorySyncs.delete(path);
  };
  void sync.running.then(ended, ended);
  return sync.running;
}

/** Removes a file or a link; a no-op when nothing is there. A third of the cost of Node's `rm`. Throws Node's errors. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

async function syncOpenedDirectory(path: string): Promise<void> {
  // Opened here: only the sync waits for the disk.
  const directory = openSync(path, constants.O_RDONLY);
  try {
    await onDescriptor.sync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Resolves with the names in a directory; undefined when it fails with a code in `missing`. */
export function namesIn(directory: string, missing: readonly string[] = ['ENOENT']): Promise<string[] | undefined> {
  return unless(missing, `read ${directory}`, () => readdir(directory));
}

/** Resolves with what `work` does. Its failures say that this `action` failed. */
export async function inSystem<Result>(action: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw ioFailure(action, error);
  }
}

/** As `inSystem`; resolves with undefined when `work` fails with one of the system's `codes`. */
export async function unless<Result>(
  codes: readonly string[],
  action: string,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (codes.includes(systemCode(error))) return undefined;
    throw ioFailure(action, error);
  }
}

/** Maps a failed file operation to a StoreError; a StoreError is returned unchanged. */
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
  return new StoreError('IO_FAILED', `cannot ${action}: ${thrownText(error)}`, options);
}

/** System error code, such as ENOENT; empty when the error has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Whether an operation failed because this process or the system has no descriptors or memory left,
 * which says nothing about the file.
 */
export function isExhaustion(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(systemCode(error instanceof StoreError ? error.cause : error));
}

/**
 * Whether something is at `path`. Follows links: a dangling one is nothing, and a loop (ELOOP)
 * exists, as opening it would report.
 */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    if (code === 'ELOOP') return true;
    throw ioFailure(`inspect ${path}`, error);
  }
}

/*
 * Opening files that others may have replaced. The directory of a store, a backup or a key may be
 * reached through links; a file in it may not be one: a link, a pipe, a device or a folder is
 * refused without blocking. Writing needs none of this: a file is created under a new name and
 * renamed, which replaces a link and leaves its target alone.
 */

/** Read size for files of unknown length. */
const CHUNK_BYTES = 64 * 1024;

/** Thrown when what must be a regular file is something else. */
export class NotAFile extends StoreError {
  constructor(path: string) {
    super('IO_FAILED', `cannot read ${path}: it is not a file`, { data: { path } });
  }
}

interface OpenFileOptions {
  /** `followed` for a path given by the user: a link to a file is then accepted. */
  readonly links?: 'refused' | 'followed';
}

// Windows has neither flag: there, the check before opening must do.
const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;
const OWN_FILE = WITHOUT_WAITING | constants.O_NOFOLLOW;

/**
 * Opens a regular file for reading.
 * @throws {NotAFile} when it is something else; otherwise Node's own error, such as ENOENT
 */
export async function openRegularFile(path: string, { links = 'refused' }: OpenFileOptions = {}): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    const isFollowed = links === 'followed';
    // Opening a device may have side effects, so check first; then check the opened file again.
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
 * Resolves with the bytes of the file at `path`, or undefined when nothing is there; of one larger
 * than `limitBytes` with one byte more than that, so that its parser refuses it.
 * @throws {NotAFile} when it is something else
 */
export function readRegularFile(
  path: string,
  { limitBytes }: { readonly limitBytes?: number | undefined } = {},
): Promise<Uint8Array | undefined> {
  return unless(['ENOENT'], `read ${path}`, async () => {
    await using file = await openRegularFile(path);
    return limitBytes === undefined ? await file.readFile() : await readAtMost(file, limitBytes + 1);
  });
}

/** Synchronous `readRegularFile`. */
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
 * Resolves with the first `size` bytes of a file, fewer when it is shorter, or undefined when
 * nothing is there. One read, where `readFile` takes half a MiB at a time and yields in between.
 * @throws {NotAFile} when it is something else
 */
export function readWholeFile(path: string, size: number): Promise<Uint8Array | undefined> {
  return unless(['ENOENT'], `read ${path}`, async () => {
    await using file = await openRegularFile(path);
    return await readAtMost(file, size, size);
  });
}

/** Reads at most `limit` bytes of `file`, which may be a pipe. Throws Node's errors. */
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

/** Runs actions one at a time, in request order; a failure does not block later ones. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when every requested action has ended. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
