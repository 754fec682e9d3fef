import { StoreError } from '../errors.js';

/**
 * Returns the name of an archive entry as a path from the archive's root,
 * without `./`, doubled slashes and slashes at the end; the root itself is
 * the empty path.
 *
 * @throws {StoreError} ARCHIVE_NAME_UNSAFE for an absolute name, one that leads out of the archive, one with NUL
 */
export function normalizeEntryName(name: string): string {
  if (name.includes('\0')) throw unsafe(name, 'a NUL byte');
  if (name.startsWith('/')) throw unsafe(name, 'an absolute name');
  const path = joinInside('', name);
  if (path === undefined) throw unsafe(name, 'one that leads out of the archive');
  return path;
}

/** Returns `path` seen from `directory`, both from the archive's root, or undefined when it leads out of it. */
export function joinInside(directory: string, path: string): string | undefined {
  const parts = directory === '' ? [] : directory.split('/');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Returns the path of the directory that holds `path`. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function unsafe(name: string, found: string): StoreError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new StoreError(
    'ARCHIVE_NAME_UNSAFE',
    `cannot read the archive: expected names inside it, found ${found}: ${shown}`,
    { data: { name: name.slice(0, 200) } },
  );
}
