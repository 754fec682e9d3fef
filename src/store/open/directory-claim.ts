import { stat } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { ioFailure } from '../files/durable-file.js';
import { refuseSecondOwner } from './owner-file.js';

/** The directories whose stores this process has open, by device and inode: a path may have other names. */
const claimed = new Set<string>();

/**
 * Claims `directory` for one store of this process, and returns how to give it back.
 *
 * LevelDB's own lock cannot be asked twice: a second try in the same process fails as it must, but closes the lock
 * file, and with that POSIX takes the lock of the first away, so that another process can open the live database.
 *
 * @throws {StoreError} STORE_LOCKED when this process has it open already
 */
export async function claimDirectory(directory: string): Promise<() => void> {
  const key = await identityOf(directory);
  if (claimed.has(key)) throw claimedHere(directory);
  claimed.add(key);
  return () => void claimed.delete(key);
}

/**
 * Returns when neither this process nor another has the store in `directory` open for writing, as far as they say so.
 * @throws {StoreError} STORE_LOCKED
 */
export async function refuseWriter(directory: string): Promise<void> {
  if (claimed.has(await identityOf(directory))) throw claimedHere(directory);
  await refuseSecondOwner(directory);
}

function claimedHere(directory: string): StoreError {
  return new StoreError(
    'STORE_LOCKED',
    `cannot open the store ${directory}: it is open in this process (pid ${process.pid})`,
    { data: { directory, pid: process.pid } },
  );
}

async function identityOf(directory: string): Promise<string> {
  try {
    const { dev, ino } = await stat(directory, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    throw ioFailure(`open the store ${directory}`, error);
  }
}
