import { lstat, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkUnlocked } from '../../log/open-level.js';

/** A lock as /proc/locks lists it (proc_locks(5)): its kind, the pid of its holder, the device and the inode of the file. */
const POSIX_LOCK = /^\d+: POSIX +\S+ +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /;

/**
 * Returns the pid of the process that has a lock on the file at `path`, where the system says so. The file is not opened: closing it
 * would end a lock of this process. A file system that shows another device than that of its locks (btrfs) has no answer here.
 */
export async function lockHolder(path: string): Promise<number | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    const locks = (await readFile('/proc/locks', 'utf8')).split('\n').flatMap((line) => {
      const [, pid, major, minor, inode] = POSIX_LOCK.exec(line) ?? [];
      const isHere = inode === String(ino) && major === hex(majorOf(dev)) && minor === hex(minorOf(dev));
      // Pid 0 is a process that this one cannot see.
      return isHere && pid !== '0' ? [Number(pid)] : [];
    });
    return locks[0];
  } catch {
    // A system without /proc, or no such file.
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
 * Returns when nobody has the database at `location` open, at this moment. Without a lock file of
 * its own nobody can: it is not asked for, since LevelDB would make one, in the wrong folder or
 * through a link.
 * @throws {StoreError} STORE_LOCKED, STORE_NOT_WRITABLE
 */
export async function checkFree(location: string): Promise<void> {
  const lock = await lstat(join(location, 'LOCK')).catch(() => undefined);
  if (lock?.isFile() === true) await checkUnlocked(location);
}
