import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isStoreError, StoreError } from '../../errors.js';

/** Name of the file that says who has the store open. LevelDB's lock decides; this only names its holder. */
const OWNER_FILE = 'owner.json';

/** Who has, or last had, a store open. */
interface Owner {
  readonly pid: number;
  readonly host: string;
}

/** Says that this process has the store open, if the file can be written. The lock must be held. */
export async function writeOwner(directory: string): Promise<void> {
  const owner: Owner = { pid: process.pid, host: hostname() };
  await writeFile(join(directory, OWNER_FILE), `${JSON.stringify(owner)}\n`).catch(doWithout);
}

/** Says that nobody has the store open, if the file can be removed. The lock must be held still. */
export async function removeOwner(directory: string): Promise<void> {
  await rm(join(directory, OWNER_FILE), { force: true }).catch(doWithout);
}

function doWithout(): void {
  // The file only names the lock's holder in somebody else's error: a store must open and close without it.
}

/** Returns a STORE_LOCKED error with the process that holds the lock, where that is known; any other error as it is. */
export async function withOwner(directory: string, error: unknown): Promise<unknown> {
  if (!isStoreError(error, 'STORE_LOCKED')) return error;
  const owner = await readOwner(directory);
  const who = owner === undefined ? 'another process' : holderName(owner);
  return new StoreError('STORE_LOCKED', `cannot open the store ${directory}: it is open in ${who}`, {
    cause: error,
    data: { directory, pid: owner?.pid, host: owner?.host },
  });
}

function holderName({ pid, host }: Owner): string {
  if (host !== hostname()) return `process ${pid} on ${host}`;
  return pid === process.pid ? `this process (pid ${pid})` : `process ${pid}`;
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    const { pid, host } = Object(JSON.parse(await readFile(join(directory, OWNER_FILE), 'utf8'))) as Partial<Owner>;
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host } : undefined;
  } catch {
    // Whoever locked the store did not get to write the file, or it is gone: then nobody knows.
    return undefined;
  }
}
