import { lstat, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkUnlocked } from '../../log/open-level.js';

/** A lock as /proc/locks lists it (proc_locks(5)): its kind, the pid of its holder, the device and the inode of the file. */
const POSIX_LOCK = /^\d+: POSIX +\S+ +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /;

/**
 * Returns the pid of the process that has a lock on the file at `path`, where the system says so. The file is not opened: closing it
 * would end a lock of this process.
 */
export async function lockHolder(path: string): Promise<number | undefined> {
  try {
    const { ino } = await stat(path, { bigint: true });
    const locks = (await readFile('/proc/locks', 'utf8')).split('\n').flatMap((line) => {
      const [, pid, , , inode] = POSIX_LOCK.exec(line) ?? [];
      return pid !== undefined && inode === String(ino) ? [Number(pid)] : [];
    });
    // Devices have other numbers there on some file systems: two locks on this inode number may be on two files. Pid 0 is a process elsewhere.
    const [pid, ...others] = locks;
    return others.length === 0 && pid !== 0 ? pid : undefined;
  } catch {
    // A system without /proc, or no such file.
    return undefined;
  }
}

/**
 * Returns when nobody has the database at `location` open, at this moment. Without a lock file of
 * its own nobody can: it is not asked for, since LevelDB would make one, in the wrong folder or
 * through a link.
 * @throws {StoreError} STORE_LOCKED, STORE_NOT_WRITABLE
 */
export async function checkFree(location: string): Promise<void> {
  const lock = await lstat(join(location, 'LOCK')).catch(() => undefined);
  if (lock?.isFile() === true) await checkUnlocked(location);
}
