import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { processIdentity } from './process-identity.js';

/** How the names of the directories begin that rehearsals are held in, beside the log. */
const PREFIX = 'log.rehearsal';
const NAME = /^log\.rehearsal-(\d+)-([0-9a-f]{16})-[0-9a-f]{8}$/;

/** Returns a new name for a rehearsal of this process, which tells others whether it still runs. */
export async function rehearsalName(): Promise<string> {
  const random = randomBytes(4).toString('hex');
  return `${PREFIX}-${process.pid}-${await identityHash(process.pid)}-${random}`;
}

/**
 * Removes what crashes left of rehearsals in a store's directory. Those of other processes that still run stay: they look at the store before
 * they know whether they may have it. This process must have claimed the directory. Returns the
 * names of those that stay.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function sweepRehearsals(directory: string): Promise<readonly string[]> {
  const inUse: string[] = [];
  try {
    for (const name of await readdir(directory)) {
      if (!name.startsWith(PREFIX)) continue;
      if (await isInUse(name)) inUse.push(name);
      else await rm(join(directory, name), { recursive: true, force: true });
    }
    return inUse;
  } catch (error) {
    throw ioFailure(`tidy ${directory}`, error);
  }
}

async function isInUse(name: string): Promise<boolean> {
  const [, pid, identity] = NAME.exec(name) ?? [];
  if (pid === undefined || Number(pid) === process.pid || !isRunning(Number(pid))) return false;
  return (await identityHash(Number(pid))) === identity;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's.
    return systemCode(error) === 'EPERM';
  }
}

/** Sixteen digits for the process with this pid and no other that has it; the same for all where the system does not say. */
async function identityHash(pid: number): Promise<string> {
  const identity = (await processIdentity(pid)) ?? '';
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
