import { lstatSync } from 'node:fs';
import { join } from 'node:path';

/** The files that LevelDB opens or writes by their names, and its lock. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp))$/;

/** What can be told of a file of the database without reading it. */
export interface DatabaseFile {
  /**
   * False for what LevelDB must not open: a directory, a pipe, a link, which it would write
   * through.
   */
  readonly isFile: boolean;
  /** Whether it has another name as well, so that writing over it may harm somebody else. */
  readonly isShared: boolean;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds of Unix time of its last change, also of its names and rights: where the system has that, nobody can set it. */
  readonly changedAt: number;
  /** Differs after every change that the file system saw. */
  readonly version: string;
}

/**
 * Returns those of `names` that are files of the database in `location`, and are there.
 * @throws what `lstat` throws
 */
export function databaseFiles(location: string, names: readonly string[]): ReadonlyMap<string, DatabaseFile> {
  const files = new Map<string, DatabaseFile>();
  for (const name of names) {
    const file = DATABASE_FILE.test(name) ? lookAt(join(location, name)) : undefined;
    if (file !== undefined) files.set(name, file);
  }
  return files;
}

/** Returns what is at `path`, or undefined when it is gone. At once: handing it to another thread costs three times what it takes. */
function lookAt(path: string): DatabaseFile | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const { ino, nlink, size, mtimeNs, ctimeNs, ctimeMs } = found;
  const version = [ino, size, mtimeNs, ctimeNs].join(' ');
  return { isFile: found.isFile(), isShared: nlink > 1n, size: Number(size), changedAt: Number(ctimeMs), version };
}
