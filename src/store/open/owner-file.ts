import { lstat, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isStoreError, StoreError } from '../../errors.js';
import { replaceHint, systemCode } from '../files/durable-file.js';
import { readRegularFile } from '../files/regular-file.js';
import { lockHolder } from './lock-holder.js';
import { processIdentity } from './process-identity.js';

/**
 * Name of the file that says who has the store open. LevelDB's lock is the first to decide; but it is gone when somebody deletes its file
 * or the owning process closes another descriptor of it, and then this file still keeps others out.
 */
const OWNER_FILE = 'owner.json';

/** Who has, or last had, a store open. */
interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Tells the process from others that get its pid; undefined where the system does not say. */
  readonly process?: string | undefined;
}

/** Says that this process has the store open, if the file can be written. The lock must be held. */
export async function writeOwner(directory: string): Promise<void> {
  const owner: Owner = { pid: process.pid, host: hostname(), process: await processIdentity(process.pid) };
  await replaceHint(join(directory, OWNER_FILE), `${JSON.stringify(owner)}\n`).catch(doWithout);
}

/** Says that nobody has the store open, if the file can be removed. The lock must be held still. */
export async function removeOwner(directory: string): Promise<void> {
  await rm(join(directory, OWNER_FILE), { force: true }).catch(doWithout);
}

function doWithout(): void {
  // LevelDB's lock decides without it: a store must open and close on.
}

/**
 * Resolves with whether the last process that had the store open for writing closed it, when no other that still runs says that it has it
 * open. One that crashed says nothing any more, whoever got its pid since.
 * @throws {StoreError} STORE_LOCKED
 */
export async function refuseSecondOwner(directory: string): Promise<{ readonly wasClosed: boolean }> {
  const owner = await readOwner(directory);
  // This process knows by itself what it has open.
  if (owner !== undefined && owner.pid !== process.pid && (await isRunning(owner)))
    throw lockedBy(directory, owner, undefined);
  return { wasClosed: await isGone(join(directory, OWNER_FILE)) };
}

// Whatever stands there, as the file without its bytes that a crash may leave, was not removed by a
// close.
async function isGone(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error: unknown) => systemCode(error) === 'ENOENT',
  );
}

/** Returns a STORE_LOCKED error with the process that holds the lock, where that is known; any other error as it is. */
export async function withOwner(directory: string, error: unknown): Promise<unknown> {
  if (!isStoreError(error, 'STORE_LOCKED') || error.data['pid'] !== undefined) return error;
  const owner = await readOwner(directory);
  if (owner !== undefined && (await isRunning(owner))) return lockedBy(directory, owner, error);
  // A reader holds the lock too, and writes no file.
  const pid = await lockHolder(join(directory, 'log', 'LOCK'));
  if (pid !== undefined) return lockedBy(directory, { pid, host: hostname() }, error);
  return lockedBy(directory, undefined, error);
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
    // Whoever locked the store did not get to write the file, or it is gone or no file: then nobody knows.
    return undefined;
  }
}
