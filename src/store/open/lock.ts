import { link, lstat, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hostname } from 'node:os';
import { checkUnlocked } from '../../log/leveldb/open-level.js';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { inSystem, ioFailure, readRegularFile, replaceHint, systemCode, temporaryPath } from '../files/files.js';
import { setTimeout as delay } from 'node:timers/promises';
import { LOCK_POLL_MAX_MS, LOCK_POLL_MIN_MS } from '../../limits.js';

/** Fields of /proc/PID/stat after the program's name, which may hold anything (proc(5)). */
const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

/** Resolves with an identifier of this boot of the machine. Throws where the system has none. */
export async function bootIdentity(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/**
 * Returns an identifier of the process, unique across pid reuse: boot, pid namespace and start
 * time. Undefined when no such process runs, or where the system does not say.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  try {
    const [boot, namespace, stat] = await Promise.all([
      bootIdentity(),
      readlink('/proc/self/ns/pid'),
      readFile(`/proc/${pid}/stat`, 'latin1'),
    ]);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie no longer holds files.
    if (fields[STATE_FIELD] === 'Z' || fields[STATE_FIELD] === 'X') return undefined;
    return [boot, namespace, fields[START_TIME_FIELD]].join(' ');
  } catch {
    // No such process, or no /proc: only LevelDB's lock decides.
    return undefined;
  }
}

/** A line of /proc/locks (proc_locks(5)): kind, pid of the holder, device and inode of the file. */
const POSIX_LOCK = /^\d+: POSIX +\S+ +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /;

/**
 * Returns the pid that holds a lock on the file at `path`, where the system says so. Never opens
 * the file: closing it would release this process's lock. No answer on file systems whose locks
 * show another device (btrfs).
 */
export async function lockHolder(path: string): Promise<number | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    const locks = (await readFile('/proc/locks', 'utf8')).split('\n').flatMap((line) => {
      const [, pid, major, minor, inode] = POSIX_LOCK.exec(line) ?? [];
      const isHere = inode === String(ino) && major === hex(majorOf(dev)) && minor === hex(minorOf(dev));
      // Pid 0 is a process invisible to this one.
      return isHere && pid !== '0' ? [Number(pid)] : [];
    });
    return locks[0];
  } catch {
    // No /proc, or no such file.
    return undefined;
  }
}

// As Linux packs a device's numbers into `st_dev` (makedev(3)).
function majorOf(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
}

function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
}

/** As /proc/locks writes a device: at least two digits. */
function hex(number: bigint): string {
  return number.toString(16).padStart(2, '0');
}

/**
 * Returns when no process has the database at `location` open. LevelDB is not asked when there is
 * no lock file: then none can, and LevelDB would create one, in the wrong folder or through a link.
 * @throws {StoreError} STORE_LOCKED, STORE_NOT_WRITABLE
 */
export async function checkFree(location: string): Promise<void> {
  const lock = await lstat(join(location, 'LOCK')).catch(() => undefined);
  if (lock?.isFile() === true) await checkUnlocked(location);
}

/**
 * Names the process that has the store open. LevelDB's lock decides first, but it is lost when its
 * file is deleted or the owner closes another descriptor of it; this file still keeps others out.
 */
export const OWNER_FILE = 'owner.json';

/** The current or last owner of a store. */
interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Unique across pid reuse; undefined where the system does not say. */
  readonly process?: string | undefined;
}

/** The text of the file that names this process. */
async function ownText(): Promise<string> {
  const owner: Owner = { pid: process.pid, host: hostname(), process: await processIdentity(process.pid) };
  return `${JSON.stringify(owner)}\n`;
}

/** Records this process as the owner, if the file can be written. The lock must be held. */
export async function writeOwner(directory: string): Promise<void> {
  await replaceHint(join(directory, OWNER_FILE), await ownText()).catch(doWithout);
}

/** Removes the owner record, if the file can be removed. The lock must still be held. */
export async function removeOwner(directory: string): Promise<void> {
  await rm(join(directory, OWNER_FILE), { force: true }).catch(doWithout);
}

function doWithout(): void {
  // LevelDB's lock decides without it: a store must still open and close.
}

/**
 * Resolves with whether the last writer closed the store; throws while another running process
 * claims it. A claim ends with its process, even if the pid is reused.
 * @throws {StoreError} STORE_LOCKED
 */
export async function refuseSecondOwner(directory: string): Promise<{ readonly wasClosed: boolean }> {
  const owner = await readOwner(directory);
  // This process tracks its own open stores.
  if (owner !== undefined && owner.pid !== process.pid && (await isRunning(owner)))
    throw lockedBy(directory, owner, undefined);
  // Any leftover, even the empty file of a crash, was not removed by a close.
  const code = await lstat(join(directory, OWNER_FILE)).then(() => '', systemCode);
  return { wasClosed: code === 'ENOENT' };
}

/** Resolves with a value that changes with every write to the store: each reaches its log first. */
export async function writtenState(directory: string): Promise<string> {
  const log = join(directory, 'log');
  const names = await readdir(log).catch(() => []);
  const paths = [
    join(directory, 'checkpoint'),
    ...names.filter((name) => /\.log$|^MANIFEST/.test(name)).map((name) => join(log, name)),
  ];
  const states = paths.sort().map(async (path) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return `${path} ${found?.ino} ${found?.size}`;
  });
  return (await Promise.all(states)).join('\n');
}

/**
 * Returns what `look` reads of the store in `directory`, whose lock is not held yet. If it fails
 * because another process writes meanwhile, that is no damage: the store is in use.
 * @throws {StoreError} STORE_LOCKED for such a failure; else what `look` throws
 */
export async function beforeLock<Result>(directory: string, look: () => Promise<Result>): Promise<Result> {
  const before = await writtenState(directory);
  try {
    return await look();
  } catch (error) {
    if ((await writtenState(directory)) === before) throw error;
    throw lockedBy(directory, undefined, error);
  }
}

/** Returns the error for a read of the store in `directory` that raced with a writer. */
export function writerAtWork(directory: string): StoreError {
  const text = `cannot verify the store ${directory}: another process writes to it`;
  return new StoreError('STORE_LOCKED', text, { data: { directory } });
}

/** Adds the lock holder's pid, where known, to a STORE_LOCKED error; returns others unchanged. */
export async function withOwner(directory: string, error: unknown): Promise<unknown> {
  if (!isStoreError(error, 'STORE_LOCKED') || error.data['pid'] !== undefined) return error;
  const owner = await readOwner(directory);
  if (owner !== undefined && (await isRunning(owner))) return lockedBy(directory, owner, error);
  // A reader holds the lock too, and writes no file.
  const pid = await lockHolder(join(directory, 'log', 'LOCK'));
  return lockedBy(directory, pid === undefined ? undefined : { pid, host: hostname() }, error);
}

/**
 * Claims `folder` for one writer on this machine; returns the release. Claims end with the process.
 * @throws {StoreError} STORE_LOCKED, where `what` says what cannot be done
 */
export async function claimFolder(folder: string, what: string): Promise<() => Promise<void>> {
  const path = join(folder, OWNER_FILE);
  const temporary = temporaryPath(folder);
  const text = await ownText();
  try {
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600 });
    // A link appears atomically, so a half-written owner is never read.
    while (!(await isLinked(temporary, path))) {
      const other = await readOwner(folder);
      if (other !== undefined && (await isRunning(other))) {
        const data = { directory: dirname(folder), pid: other.pid, host: other.host };
        throw new StoreError('STORE_LOCKED', `${what}: ${holderName(other)} is writing there`, { data });
      }
      await rm(path, { force: true });
    }
  } catch (error) {
    throw ioFailure(`claim ${folder}`, error);
  } finally {
    await rm(temporary, { force: true });
  }
  return () => rm(path, { force: true });
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function lockedBy(directory: string, owner: Owner | undefined, cause: unknown): StoreError {
  const who = owner === undefined ? 'another process' : holderName(owner);
  return new StoreError('STORE_LOCKED', `cannot open the store ${directory}: it is open in ${who}`, {
    cause,
    data: { directory, pid: owner?.pid, host: owner?.host },
  });
}

function holderName({ pid, host }: Owner): string {
  if (host !== hostname()) return `process ${pid} on ${host}`;
  return pid === process.pid ? `this process (pid ${pid})` : `process ${pid}`;
}

async function isRunning({ pid, process: identity }: Owner): Promise<boolean> {
  return identity !== undefined && (await processIdentity(pid)) === identity;
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    const bytes = await readRegularFile(join(directory, OWNER_FILE));
    const owner = Object(JSON.parse(new TextDecoder().decode(bytes))) as Partial<Owner>;
    const { pid, host, process: identity } = owner;
    if (!Number.isSafeInteger(pid) || typeof host !== 'string') return undefined;
    return { pid: pid as number, host, process: typeof identity === 'string' ? identity : undefined };
  } catch {
    // Not written yet, gone, or no file: the owner is unknown.
    return undefined;
  }
}

/** Directories of stores open in this process, by device and inode: paths may be aliases. */
const claimed = new Set<string>();

/**
 * Claims `directory` for one store of this process and returns its release. LevelDB's own lock
 * cannot be tried twice: a second attempt in the same process fails as it must, but closes the lock
 * file, and POSIX then drops the first lock, so that another process can open the live database.
 * @throws {StoreError} STORE_LOCKED when this process has it open already
 */
export async function claimDirectory(directory: string): Promise<() => void> {
  const { dev, ino } = await inSystem(`open the store ${directory}`, () => stat(directory, { bigint: true }));
  const key = `${dev}:${ino}`;
  if (claimed.has(key)) {
    const message = `cannot open the store ${directory}: it is open in this process (pid ${process.pid})`;
    throw new StoreError('STORE_LOCKED', message, { data: { directory, pid: process.pid } });
  }
  claimed.add(key);
  return () => void claimed.delete(key);
}

/** How long to wait for a lock, and who hears of it. */
export interface LockWait {
  /** Milliseconds until the attempt fails; 0, the default, does not wait. */
  readonly lockTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause, with the error that names the holder and the time waited so far. */
  readonly onWait?: (error: StoreError, waitedMs: number) => void;
}

/**
 * Checks a timeout for a lock.
 * @throws {TypeError} unless it is undefined or a whole number of milliseconds, 0 or more
 */
export function checkLockTimeout(lockTimeoutMs: unknown): void {
  if (lockTimeoutMs === undefined || (Number.isSafeInteger(lockTimeoutMs) && Number(lockTimeoutMs) >= 0)) return;
  throw new TypeError('lockTimeoutMs must be a whole number, 0 or more');
}

/**
 * Returns what `attempt` gives, retrying it while another process, or another part of this one,
 * holds the lock. Pauses grow from LOCK_POLL_MIN_MS to LOCK_POLL_MAX_MS, at random in their upper
 * half: processes that started together do not retry together, and none is starved for long.
 * @throws {StoreError} STORE_LOCKED of the last attempt; ABORTED
 */
export async function whenUnlocked<Result>(
  attempt: () => Promise<Result>,
  { lockTimeoutMs = 0, signal, onWait }: LockWait,
): Promise<Result> {
  const startedMs = monotonicMs();
  for (let longestMs = LOCK_POLL_MIN_MS; ; longestMs = Math.min(longestMs * 2, LOCK_POLL_MAX_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const waitedMs = monotonicMs() - startedMs;
      if (!isStoreError(error, 'STORE_LOCKED') || waitedMs >= lockTimeoutMs) throw error;
      onWait?.(error, waitedMs);
      const pauseMs = (longestMs * (1 + Math.random())) / 2;
      // An abort ends the pause; the check below reports it.
      await delay(Math.min(pauseMs, lockTimeoutMs - waitedMs), undefined, { signal }).catch(() => undefined);
      throwIfAborted(signal);
    }
  }
}

// Not `performance.now`: its first use loads code for 2 ms, and every command passes here.
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
