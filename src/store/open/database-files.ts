import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../files/durable-file.js';

/** The files that LevelDB opens by their names, and its lock. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|MANIFEST-\d+|\d+\.(?:log|ldb|sst))$/;

/** What can be told of a file of the database without reading it. */
export interface DatabaseFile {
  /** False for what LevelDB cannot open: a directory, a pipe, a link that leads nowhere. */
  readonly isFile: boolean;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds of Unix time of its last change, also of its names and rights: where the system has that, nobody can set it. */
  readonly changedAt: number;
  /** Differs after every change that the file system saw. */
  readonly version: string;
}

const NO_FILE: DatabaseFile = { isFile: false, size: 0, changedAt: 0, version: '' };

/**
 * Returns those of `names` that are files of the database in `location`, and are there.
 * @throws what `stat` throws
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
  try {
    const found = statSync(path, { bigint: true });
    const { ino, size, mtimeNs, ctimeNs, ctimeMs } = found;
    const version = [ino, size, mtimeNs, ctimeNs].join(' ');
    return { isFile: found.isFile(), size: Number(size), changedAt: Number(ctimeMs), version };
  } catch (error) {
    if (systemCode(error) === 'ELOOP') return NO_FILE;
    if (systemCode(error) !== 'ENOENT') throw error;
    const link = lstatSync(path, { throwIfNoEntry: false });
    return link?.isSymbolicLink() === true ? NO_FILE : undefined;
  }
}
